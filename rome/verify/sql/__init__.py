"""A differential fuzzer: scripts that combine features of SQL, run on SQLite and on ROME, and compared.

    python -m rome.verify.sql --seconds 600                       on rome+memory
    python -m rome.verify.sql rome+redis://localhost:6379/fuzz    on another store
    python -m rome.verify.sql --seed 4711 --cases 1               one case again

A case is a script: statements, schema changes, savepoints and transaction control on one or two connections at one
isolation level. It is generated against SQLite, statement by statement, so that each statement fits the schema that the
ones before it have made. Then ROME runs it. Every statement must return the same rows (in the same order where ORDER BY
makes it total), the same row count, or the same error; and at the end a new connection must find the same tables, and
`rome.testing.check_database` no fault.

Reading along:

    script        steps, and how they are written
    oracle        SQLite, with the transaction control of a PEP 249 driver
    schema        tables, columns, keys and triggers as SQLite describes them
    values        literals and parameters, from a pool of values that compare in surprising ways
    ddl, dml, derived_dml, plain, queries    generators of statements
    generator     a whole script
    play          a script on ROME, and the comparison
    deferred      errors that `constraints=deferred` in the store's URL puts off
    races         two transactions that overlap: the outcome must be one of a serial order, or a conflict
    minimize      a script that fails, made as short as it can be

Statements whose result SQL leaves open (LIMIT without a total order, multi-row updates of unique columns by their own
values) are not generated. Ids are always given: those that ROME assigns may have gaps.
"""
