"""`rome copy`: a database to another one, of any kind that SQLAlchemy knows.

command     the options and the report
databases   URLs as SQLAlchemy engines; the two kinds of copies
plan        the tables in both databases, in the order of foreign keys
native      SQLite and ROME: the schema's own statements and the stored values, unconverted
converted   others: the reflected schema, with types that both databases have
bulk        many rows of a table to ROME, without a statement for each
mysql       the types of columns that MySQL needs
rows        rows in batches, in the order of their key, so that an interrupted copy can go on
verify      counts and checksums
"""
