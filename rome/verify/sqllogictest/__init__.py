"""Play sqllogictest files on ROME: the format in which SQLite's authors compare SQL engines.

    python -m rome.verify.sqllogictest FILE…                            on rome+memory
    python -m rome.verify.sqllogictest --store rome+redis://… FILE…     on another store

    statement ok                     the statement succeeds (`statement error`: it fails)
    CREATE TABLE t (a INTEGER)

    onlyif sqlite                    the next record is for this engine only (`skipif mysql`: for all others)
    query IT rowsort label-1         the types of the columns, how the result is sorted, and a label
    SELECT a, 'x' FROM t
    ----
    1                                the expected values, one a line; or `2 values hashing to` and an MD5 digest
    x

ROME is `sqlite` in `onlyif` and `skipif`. `hash-threshold` and `halt` work, too. Each file begins with an empty
database and runs under AUTOCOMMIT. No files come with ROME; a user may have them.

Reading along:

    records    the records of a file
    play       a file on ROME, and the comparison
"""
