"""SQL: from the text of a statement to a plan of reads. Pure: no I/O, no values of parameters, no state but caches.

Four packages, in the order in which a statement passes through them:

syntax      tokens, the kind of a statement, the shape of DDL and simple DML, and the parse of the normalized text
rewrite     texts changed for the workspace: ids from a counter in INSERT, row keys in SELECT … FOR UPDATE
analysis    table references, name resolution, the predicates on each table reference, Top-N
planner     access paths, the order of fetches, and the requests of a plan for given parameters

`syntax` reads a text without a catalog; the others need one. A plan may lead to more rows than the statement needs,
never to fewer: the statement itself is evaluated over the rows that were fetched.
"""
