"""The binder: from the parser's syntax tree to the intermediate representation (`rome.compiled.ir`).

`bind_query` (in `queries`) is the entry. The names are those that `rome.sql.analysis` has resolved. Types are inferred,
and everything is refused, by raising UnsupportedConstruct, that is not certain to mean the same to SQLite.
"""
