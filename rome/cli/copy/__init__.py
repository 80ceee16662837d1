"""`rome copy`: a database to another one, of any kind that SQLAlchemy knows.

command     the options and the report
databases   the source and the target: connections, and the rows of tables
stored      the rows of a ROME table, read from its store
plan        the tables in both databases, in the order of foreign keys
native      SQLite and ROME: the schema's own statements and the stored values, unconverted
converted   others: the reflected schema, as far as both databases have it
schema      the conversion of a schema: its dialects and its notes
columns     types, defaults, and generated columns
constraints CHECK constraints and indexes
views       views, and the names of what has no counterpart
translate   expressions and SELECTs in another database's SQL
counters    the last ids
mysql       the types of columns that MySQL needs
values      values on their way from one database to another
rows        rows in batches, in the order of their key, so that an interrupted copy can go on
bulk        many rows of a table to ROME, without a statement for each
verify      counts and checksums
"""
