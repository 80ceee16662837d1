"""The catalog: the tables, columns and indexes of a database, and how they are stored.

    model        tables, columns, indexes, foreign keys; when the values of one column are keys of another
    codec        the catalog itself in the store
    key_codec    the keys of a table's rows and of an index's entries
    rows         the rows of a table

A catalog is immutable: each version of the schema is a Catalog of its own.
"""
