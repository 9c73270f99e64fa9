"""What the generator leaves out, and why.  Nothing else is left out.

LIMITS are differences that docs/limits.md or docs/behaviour.md documents, in its words:
when one falls, its entry goes.
ORDER are statements whose answer depends on the order in which PostgreSQL comes
across rows.  That order is not promised, and differs between the twins, for a
deleted row still takes its place in the heap and other rows go elsewhere.
"""

# name: the sentence there
LIMITS = {
    "truncate_snapshots": "`TRUNCATE`: a snapshot that is older goes on seeing the rows.",
    # triggers of TRUNCATE are made where all tables are tagged
    "truncate_order": "Triggers of untagged tables fire when the tagged ones are empty already",
    # not generated: row values but in null tests, row types, rows by position, catalogs; the
    # comparison drops the column from answers, and the details that list a whole row
    "tombstone_column": "The tombstone column is visible in `SELECT *` and `information_schema`",
    # compared by code alone
    "serialization_words": (
        "the error of a concurrent delete reads \"concurrent update\"; the code is 40001 all the"
        " same."
    ),
    # two sessions do not change columns of a converted unique key
    "key_locks": (
        "An `UPDATE` of its columns does not make new references to the row's other keys wait."
    ),
    # the comparison drops the warning
    "cut_warnings": (
        "A foreign key `ON DELETE SET NULL` or `SET DEFAULT` that is added to a table without a"
        " primary key is answered with a warning"
    ),
    # two sessions do not violate constraints of such tables
    "early_locks": (
        "an `UPDATE` of the referencing one waits for a session that is changing its row, as with"
        " any `BEFORE UPDATE` trigger."
    ),
    # such keys are not deferrable
    "deferred_periods": (
        "A transaction may insert a deferrable key before it deletes the row that has it. The"
        " deferred check then fails with 23505 if the table was analyzed or altered meanwhile. That"
        " of a temporal key fails with 23P01 in any case."
    ),
    # from 19 on, there is no TRUNCATE in transactions where foreign keys are deferrable
    "pending_guards": "`TRUNCATE` and `ALTER TABLE` in the same transaction then fail with 55006.",
    # of other tables the columns that were cut are not compared after undo()
    "relinks_by_key": (
        "gives the references back where the row, found by its primary key, still holds what it was"
        " left with"
    ),
    # generated keys are copied one at a time
    "copy_batches": (
        "goes row by row, as with any `BEFORE INSERT` trigger, into a table with more than 64"
        " partitions, or one that others have locked, a table with a deferrable or an exclusion"
        " constraint, and any table where changes are decoded. Where it fails it may have taken"
        " fewer values of a sequence."
    ),
    # where one row violates several constraints, either name is right
    "first_constraint": (
        "Where a row violates several unique constraints, the error may name another of them, and"
        " come after waiting for the session that writes that one's key."
    ),
    # without a target there are no deferrable keys, and no empty periods
    "conflict_order": (
        "`ON CONFLICT DO NOTHING` without a target looks at them in another order, too. So a row that"
        " conflicts may first meet a deferrable one (55000), or be refused for an empty period (23514)."
    ),
    "partition_moves": (
        "A change of the key that moves the parent to another partition, while deleted rows reference"
        " it, is refused (0A000) if the parent is tagged."
    ),
    # an answer that came after waiting is compared with one that did not wait; what the other
    # session left out meanwhile, the plain twin leaves out as well
    "waits": (
        "A statement that claims a key of a deleted row waits for a session that is claiming"
        " another key of that row"
    ),
    # of an answer that came after waiting, and of no other
    "waiting_children": "where the other one commits, it is 40001, not 23503.",
}

ORDER = [
    "LIMIT, OFFSET, DISTINCT ON, cursors and window functions without ORDER BY all columns",
    (
        "UPDATE of a unique column, of a partition key or of a reference to the own table in more"
        " than one row"
    ),
    "UPDATE ... FROM and MERGE where more than one source row matches",
    (
        "MERGE that deletes rows, and inserts generated or other unique keys, or references to rows"
        " of the same table: which comes first"
    ),
    "INSERT ... SELECT into generated keys without ORDER BY; MERGE that inserts several of them",
    "GROUP BY the primary key of a table with inheritance children, which may repeat it",
    "array_agg and the like without ORDER BY; triggers that number their rows",
    "rows born again, by a trigger, that reference others of the statement",
    (
        "two sessions that insert into a table with a deferrable key, where triggers make one wait"
        " for the other: the deferred check may fail before it waits, or deadlock"
    ),
    "transactions of two sessions that write to several rows in one statement, and go on",
    # not left out, but counted and reported: see Comparison and is_matter_of_order()
    "which row and which constraint an error names where a statement violates several",
    "why a cursor that has no row is at none: the plan may know that, from null tests of rows",
    "which of the objects that depend on another one a refused DROP names first",
    (
        "NO ACTION and RESTRICT beside CASCADE: whether the referencing row is gone when its parent"
        " is deleted"
    ),
]

# Limits of tables whose deleted rows are aside, too.  All others are of tables in place:
# what they leave out is generated, and compared to the letter, where rows are aside.
ASIDE = {"truncate_order", "cut_warnings", "relinks_by_key", "partition_moves", "early_locks"}

# What a server answers wrongly by itself, with nothing tagged: the twins have no
# answer to agree on.
SERVER = [
    # looked at in session.py
    (
        "PostgreSQL 15: MERGE that inserts into and updates a table with a BEFORE statement trigger"
        " leaves generated columns of inserted rows null"
    ),
    (
        "PostgreSQL 18: null tests of whole rows take dropped columns of a table with virtual"
        " generated columns for null"
    ),
    (
        "PostgreSQL 18 and 19: MERGE that inserts into and updates a partitioned table may put"
        " inserted rows for updated ones into NEW TABLE"
    ),
]

# For trying out a limit that is about to fall: twin.py --lift NAME
lifted = set()


def limited(name, aside=False):
    """Is this limit still to be respected, by tables whose deleted rows are aside?"""
    return name in LIMITS and name not in lifted and (name in ASIDE or not aside)
