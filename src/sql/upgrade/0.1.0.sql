/*
 * From 0.1.0: its tables are as they were, and its functions may be replaced
 */
