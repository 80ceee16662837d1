"""The layers of ROME, from top to bottom: a module imports only from its own layer and from those below it.

A layer is a package or a module; where several match, the longest name wins: `rome.transaction.commit` is a layer of
its own, and `rome.transaction` is what is left of that package.
"""

from __future__ import annotations

LAYERS = (
    ("rome.cli", "the command `rome`"),
    ("rome.verify", "proofs of isolation and of commits under faults"),
    ("rome.testing", "what users' tests import: the stores' conformance suite, servers, a checker"),
    ("rome.metrics", "counters, histograms and traces of this process, and what others publish"),
    ("rome.integrations", "Alembic, oslo.db, sqlalchemy-migrate, Nova's REGEXP"),
    ("rome.orm", "sessions, queries, entities and retries of the ORM"),
    ("rome.dialect", "the SQLAlchemy dialect"),
    ("rome", "the public functions: connect, drop_database, explain"),
    ("rome.dbapi", "the PEP 249 connection and cursor"),
    ("rome.session", "one statement run in a transaction: fetch, evaluate, change, explain, replay"),
    ("rome.transaction.transaction", "one transaction: what it writes, and its commit"),
    ("rome.transaction.savepoints", "the savepoints of a transaction"),
    ("rome.transaction.deferral", "what a transaction leaves to the commit with `constraints=deferred`"),
    ("rome.transaction.snapshot", "the state of a transaction, and what it reads"),
    ("rome.transaction.row_locks", "the row locks that a transaction holds"),
    ("rome.transaction.commit", "a write set as one commit of the store"),
    ("rome.transaction.constraints", "the keys that constraints need, and what violates them"),
    ("rome.transaction.writes", "the write set and the sequences"),
    ("rome.transaction.reads", "the row cache, the answered lookups and the read set"),
    ("rome.transaction", "parts of a transaction that its reads and writes share"),
    ("rome.locks", "locks with fencing tokens"),
    ("rome.database", "what the connections of a process share for one database"),
    ("rome.cache", "the rows that a process keeps, and the follower that keeps them the newest"),
    ("rome.plan", "a statement's plan: normalize, analyze, plan reads, compile; the plan cache"),
    ("rome.compiled.compile", "the compiled evaluator: SQL to a Python function"),
    ("rome.compiled.codegen", "operators as Python source"),
    ("rome.compiled.bind", "a syntax tree with its names, types and collations resolved"),
    ("rome.compiled.ir", "the bound query"),
    ("rome.compiled.runtime", "what the generated code calls"),
    ("rome.compiled", "what the compiled evaluator's parts share"),
    ("rome.sqlite", "the workspace: SQLite, the evaluator of record"),
    ("rome.sql", "the package itself, which is empty"),
    ("rome.sql.planner", "access paths, fetch order, Top-N fetches, statistics"),
    ("rome.sql.rewrite", "statements rewritten before they run: generated ids, row keys"),
    ("rome.sql.analysis", "scopes, names, extracted predicates, Top-N"),
    ("rome.sql.syntax", "tokens, statement kinds, DDL, normalized statements, parsing"),
    ("rome.catalog", "tables, columns, indexes; rows and keys as bytes"),
    ("rome.storage.file", "the store in one file, without a server"),
    ("rome.storage.redis", "the store on Redis and Valkey"),
    ("rome.storage", "the Store contract, the encoding of keys, the memory store, undo of the log"),
    ("rome.collection", "no garbage is collected while many rows are made"),
    ("rome.packing", "msgpack with a buffer that is kept"),
    ("rome.fast_tuples", "named tuples made without a call of Python"),
    ("rome.events", "what happens in the process, for observers"),
    ("rome.url", "database URLs"),
    ("rome.values", "storage classes, affinity, conversion"),
    ("rome.folding", "names and texts in one case, as SQLite folds them"),
    ("rome.fallback", "the exceptions by which a fast path leaves a statement to a slower one"),
    ("rome.errors", "PEP 249's errors"),
    ("rome.waits", "how a thread waits, and how a task of an event loop does"),
    ("rome.forks", "the locks, and what a forked child makes anew"),
)


def layer_of(module: str) -> int | None:
    """Return the place of a module's layer in LAYERS; None if it is in no layer."""
    matches = [place for place, (name, _) in enumerate(LAYERS) if _is_within(module, name)]
    return max(matches, key=lambda place: len(LAYERS[place][0]), default=None)


def _is_within(module: str, name: str) -> bool:
    # The package `rome` itself is a layer; each other module of it names its own.
    return module == name or (name != "rome" and module.startswith(f"{name}."))
