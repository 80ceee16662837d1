"""The exceptions that the rules allow, each with its reason.

The lists are strict: an exception that is no longer needed is a violation. Circles and upward imports have none.
"""

from __future__ import annotations

IMPORTS_INSIDE_FUNCTIONS: dict[tuple[str, str], str] = {
    ("rome", "rome.dialect.explain"): "the driver must work where SQLAlchemy is not used",
    ("rome", "rome.dialect.read_bound"): "the same",
    ("rome.dialect.base", "rome"): "SQLAlchemy imports a dialect before it asks for its driver",
    ("rome.dialect.base", "rome.dbapi"): "the same",
    ("rome.storage.store", "rome.storage.commit_locks"): "the default of the contract is made of the contract",
}

CLASSES_OF_ONE_NAME: dict[str, str] = {
    "Column": "a column of the catalog; one of a random schema in the fuzzer, which does not build on the catalog",
    "Connection": "PEP 249's name in rome.dbapi; a socket to the server in rome.storage.redis",
    "Outcome": "how one transaction ended, in each of two proofs that know nothing of each other",
    "Relation": "a table reference of a statement; a table or view of a random schema in the fuzzer",
    "Step": "a fetch of a plan; a statement of a script in the fuzzer",
    "Transaction": "a transaction; the record of one in a history",
}

PLACEHOLDERS: dict[str, str] = {
    "rome.fancy": "the store that docs/architecture/add-a-store.rst writes",
    "adapters/rome_discovery/SERVICE/api.py": "the service that docs/architecture/add-a-service.rst adds",
}
