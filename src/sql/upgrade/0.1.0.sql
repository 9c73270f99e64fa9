/*
 * From 0.1.0: nothing that begin.sql and end.sql do not do
 */
