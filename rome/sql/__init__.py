"""SQL texts, analysed: what kind of statement, which tables, which access paths. Pure: no I/O, no values, no state.

`tokens` cuts a text into words; `statement` and `ddl` say what it is about; `inserts` looks into INSERT;
`paths` finds an access path for every table reference of a table, and `binding` turns paths and parameters into
requests.
"""
