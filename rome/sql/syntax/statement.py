"""Classification: the kind of a statement, and what it is about, from its tokens and without a parse.

    >>> classify("INSERT OR IGNORE INTO t VALUES (1) RETURNING id").table
    't'
    >>> classify("SELECT a FROM t WHERE b = ? FOR UPDATE SKIP LOCKED").locking
    LockingClause(at=28, wait=<LockWaitPolicy.SKIP: 'skip locked'>)

`classify` finds out just enough for the layers above to choose how to run a statement: if it reads rows, changes rows,
changes the schema or controls the transaction, and which table is its target. Anything else is `StatementKind.OTHER`
and goes to SQLite as it is, so that SQLite reports a mistake in the text in its own words.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from rome.folding import fold_name
from rome.sql.syntax.ddl import SchemaChange, read_schema_change
from rome.sql.syntax.tokens import TokenReader, names


class StatementKind(enum.Enum):
    """The kinds of statements that are run in different ways."""

    SELECT = "select"
    """SELECT, VALUES, and WITH … SELECT."""
    INSERT = "insert"
    """INSERT and REPLACE."""
    UPDATE = "update"
    DELETE = "delete"
    DDL = "ddl"
    """CREATE, DROP and ALTER."""
    BEGIN = "begin"
    COMMIT = "commit"
    """COMMIT and END."""
    ROLLBACK = "rollback"
    SAVEPOINT = "savepoint"
    RELEASE = "release"
    ROLLBACK_TO = "rollback to"
    PRAGMA = "pragma"
    EXPLAIN = "explain"
    ATTACH = "attach"
    DATABASE = "database"
    """CREATE DATABASE and DROP DATABASE."""
    OTHER = "other"
    """ANALYZE, REINDEX, VACUUM, DETACH, and any text that is no statement."""
    EMPTY = "empty"
    """Only spaces, comments and semicolons."""


WRITES = frozenset({StatementKind.INSERT, StatementKind.UPDATE, StatementKind.DELETE})
"""The statements that change rows."""

ABOUT_ROWS = WRITES | {StatementKind.SELECT}


# ── FOR UPDATE ────────────────────────────────────────────────────────────────────────────────────────────────────────


class LockWaitPolicy(enum.Enum):
    """How to treat rows that another transaction has locked."""

    WAIT = ""
    NOWAIT = "nowait"
    SKIP = "skip locked"


@dataclass(frozen=True, slots=True)
class LockingClause:
    """A locking clause at the end of a SELECT, which SQLite does not know. `at`: its position in the text."""

    at: int
    wait: LockWaitPolicy
    of: tuple[str, ...] = ()
    """The folded names or aliases after OF; empty without OF: the rows of all tables are locked."""


_STRENGTHS = (("UPDATE",), ("SHARE",), ("NO", "KEY", "UPDATE"), ("KEY", "SHARE"))
"""The lock strengths of PostgreSQL. ROME takes the strongest lock for each."""


def read_locking_clause(sql: str) -> LockingClause | None:
    """Return the clause at the end of a text, in PostgreSQL's form: FOR UPDATE [OF name, …] [NOWAIT | SKIP LOCKED]."""
    if "for" not in names(sql):
        return None
    reader = TokenReader(sql)
    while not reader.done:
        at = reader.token.start
        if reader.take("FOR"):
            return _read_clause(reader, at)
        reader.skip_group()
    return None


def _read_clause(reader: TokenReader, at: int) -> LockingClause | None:
    """Read the clause after FOR to the end of the statement; return None if it is no locking clause."""
    if not any(reader.take(*words) for words in _STRENGTHS):
        return None
    of: list[str] = []
    if reader.take("OF"):
        of.append(_read_table_name(reader))
        while reader.take(","):
            of.append(_read_table_name(reader))
    wait = LockWaitPolicy.WAIT
    if reader.take("NOWAIT"):
        wait = LockWaitPolicy.NOWAIT
    elif reader.take("SKIP", "LOCKED"):
        wait = LockWaitPolicy.SKIP
    return LockingClause(at, wait, tuple(of)) if reader.done or reader.sees(";") else None


def _read_table_name(reader: TokenReader) -> str:
    _, name = reader.qualified_name()
    return fold_name(name or "")


# ── classification ────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Statement:
    """A classified statement. Fields that do not concern its kind have their defaults."""

    kind: StatementKind
    verb: str = ""
    """The deciding keyword, in lower case: `replace` for a StatementKind.INSERT that is REPLACE INTO."""
    tail: bool = False
    """True if another statement follows in the same text."""
    schema: str | None = None
    """INSERT, UPDATE, DELETE, PRAGMA: the schema that qualifies the name, in lower case."""
    table: str | None = None
    """INSERT, UPDATE, DELETE: the target, in lower case."""
    on_conflict: str | None = None
    """INSERT, UPDATE: the action after OR, in lower case (`replace` for REPLACE INTO)."""
    has_upsert: bool = False
    """INSERT: True if there is an ON CONFLICT clause."""
    has_returning: bool = False
    name: str | None = None
    """SAVEPOINT, RELEASE, ROLLBACK TO: the savepoint. PRAGMA: its name in lower case. DATABASE: as written."""
    argument: str | None = None
    """PRAGMA: the argument without quotes; None without one."""
    is_conditional: bool = False
    """DATABASE: True with IF EXISTS or IF NOT EXISTS."""
    change: SchemaChange | None = None
    """DDL: the change of the schema."""
    locking: LockingClause | None = None
    """SELECT: the clause FOR UPDATE."""
    is_about_rows: bool = field(init=False, repr=False)
    """True if the statement reads or changes rows, without a tail and without a locking clause."""
    changes_rows: bool = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "changes_rows", self.kind in WRITES)
        is_about_rows = self.kind in ABOUT_ROWS and not self.tail and self.locking is None
        object.__setattr__(self, "is_about_rows", is_about_rows)

    @property
    def may_fail_partly(self) -> bool:
        """Return True if the statement keeps its changes when it fails (OR FAIL)."""
        return self.on_conflict == "fail"

    @property
    def temporary(self) -> bool:
        """Return True if the text itself names the temp schema."""
        return self.schema == "temp" or (self.change is not None and self.change.temporary)


@lru_cache(maxsize=1024)
def classify(sql: str) -> Statement:
    """Return the statement of a text; of several, the first, with `tail`."""
    reader = TokenReader(sql)
    while reader.take(";"):
        pass
    if reader.done:
        return Statement(StatementKind.EMPTY)
    start = reader.at
    if not reader.skip_with():
        reader.at = start
    read = _READERS.get(reader.token.word())
    statement = read(reader) if read else None
    if statement is None:
        reader.at = start
        statement = Statement(StatementKind.OTHER, reader.token.text.lower(), tail=_has_tail(reader))
    return statement


def _has_tail(reader: TokenReader) -> bool:
    """Return True if something follows the statement's semicolon. The position of the reader is lost."""
    if ";" not in reader.sql:
        return False
    while not reader.done and not reader.sees(";"):
        reader.skip_group()
    while reader.take(";"):
        pass
    return not reader.done


def _contains(reader: TokenReader, *words: str) -> bool:
    """Return True if these words follow outside of parentheses before the statement ends. The position stays."""
    if not names(reader.sql).issuperset(map(fold_name, words)):
        return False
    start = reader.at
    found = False
    while not (found or reader.done or reader.sees(";")):
        found = reader.sees(*words)
        reader.skip_group()
    reader.at = start
    return found


def _select(reader: TokenReader) -> Statement:
    verb = reader.token.text.lower()
    return Statement(StatementKind.SELECT, verb, tail=_has_tail(reader), locking=read_locking_clause(reader.sql))


_ACTIONS = ("ABORT", "FAIL", "IGNORE", "REPLACE", "ROLLBACK")


def _conflict_action(reader: TokenReader) -> str | None:
    """Step over OR action; return the action in lower case."""
    if reader.sees("OR") and reader.look(1).word() in _ACTIONS:
        reader.at += 2
        return reader.look(-1).text.lower()
    return None


def _write(reader: TokenReader) -> Statement | None:
    """Read an INSERT, REPLACE, UPDATE or DELETE: [OR action] [INTO | FROM] name."""
    verb = reader.token.text.lower()
    reader.at += 1
    action = "replace" if verb == "replace" else _conflict_action(reader)
    if verb != "update" and not reader.take("FROM" if verb == "delete" else "INTO"):
        return None
    schema, table = reader.qualified_name()
    if table is None:
        return None
    kind = {"update": StatementKind.UPDATE, "delete": StatementKind.DELETE}.get(verb, StatementKind.INSERT)
    return Statement(
        kind,
        verb,
        schema=schema,
        table=fold_name(table),
        on_conflict=action,
        has_upsert=kind is StatementKind.INSERT and _contains(reader, "ON", "CONFLICT"),
        has_returning=_contains(reader, "RETURNING"),
        tail=_has_tail(reader),
    )


def with_abort(sql: str) -> str:
    """Return the text of an INSERT or UPDATE with OR ABORT, which overrides the conflict clauses of the table."""
    reader = TokenReader(sql)
    reader.skip_with()
    _, _, _, start = reader.token
    reader.at += 1
    has_action = _conflict_action(reader) is not None
    return f"{sql[:start]} OR ABORT{sql[reader.look(-1).end if has_action else start :]}"


def limits_rows(sql: str) -> bool:
    """Return True if an UPDATE or DELETE has an ORDER BY or LIMIT of its own, which SQLite's default build refuses."""
    reader = TokenReader(sql)
    reader.skip_with()
    reader.at += 1
    _conflict_action(reader)
    reader.take("FROM")
    reader.qualified_name()
    while not reader.done:
        if reader.sees("ORDER", "BY") or reader.sees("LIMIT"):
            return True
        reader.skip_group()
    return False


def _simple(kind: StatementKind) -> Callable[[TokenReader], Statement]:
    """Return a reader of statements of which the layers above need only the kind."""
    return lambda reader: Statement(kind, reader.token.text.lower(), tail=_has_tail(reader))


def _rollback(reader: TokenReader) -> Statement:
    reader.at += 1
    reader.take("TRANSACTION")
    if not reader.take("TO"):
        return Statement(StatementKind.ROLLBACK, "rollback", tail=_has_tail(reader))
    reader.take("SAVEPOINT")
    return Statement(StatementKind.ROLLBACK_TO, "rollback", name=reader.name(), tail=_has_tail(reader))


def _savepoint(reader: TokenReader) -> Statement:
    verb = reader.token.text.lower()
    reader.at += 1
    if verb == "release":
        reader.take("SAVEPOINT")
    return Statement(StatementKind(verb), verb, name=reader.name(), tail=_has_tail(reader))


def _pragma(reader: TokenReader) -> Statement | None:
    reader.at += 1
    schema, name = reader.qualified_name()
    if name is None:
        return None
    argument = None
    if reader.take("=") or reader.take("("):
        sign = "-" if reader.take("-") else ""
        reader.take("+")
        argument = sign + reader.token.name
    return Statement(
        StatementKind.PRAGMA, "pragma", schema=schema, name=fold_name(name), argument=argument, tail=_has_tail(reader)
    )


def _database(reader: TokenReader) -> Statement | None:
    """Read CREATE DATABASE [IF NOT EXISTS] name, or DROP DATABASE [IF EXISTS] name."""
    verb = reader.take_any("CREATE", "DROP").lower()
    reader.take("DATABASE")
    is_conditional = reader.take(*(("IF", "NOT", "EXISTS") if verb == "create" else ("IF", "EXISTS")))
    name = reader.name()
    if name is None or not (reader.done or reader.sees(";")):
        return None
    return Statement(StatementKind.DATABASE, verb, name=name, is_conditional=is_conditional, tail=_has_tail(reader))


def _ddl(reader: TokenReader) -> Statement | None:
    if reader.look(1).word() == "DATABASE" and not reader.sees("ALTER"):
        return _database(reader)
    verb = reader.token.text.lower()
    change = read_schema_change(reader)
    if change is None:
        return None
    # The body of a trigger has semicolons of its own: the statement ends with END.
    while change.action == "create" and change.type == "trigger" and not reader.done:
        if reader.take(";", "END"):
            break
        reader.at += 1
    return Statement(StatementKind.DDL, verb, schema=change.schema, change=change, tail=_has_tail(reader))


_READERS: dict[str, Callable[[TokenReader], Statement | None]] = {
    "SELECT": _select,
    "VALUES": _select,
    "INSERT": _write,
    "REPLACE": _write,
    "UPDATE": _write,
    "DELETE": _write,
    "CREATE": _ddl,
    "DROP": _ddl,
    "ALTER": _ddl,
    "BEGIN": _simple(StatementKind.BEGIN),
    "COMMIT": _simple(StatementKind.COMMIT),
    "END": _simple(StatementKind.COMMIT),
    "ROLLBACK": _rollback,
    "SAVEPOINT": _savepoint,
    "RELEASE": _savepoint,
    "PRAGMA": _pragma,
    "EXPLAIN": _simple(StatementKind.EXPLAIN),
    "ATTACH": _simple(StatementKind.ATTACH),
}
