"""The catalog: what tables, columns, keys and indexes a database has, and SQLite's rules of types."""
