"""Whole scripts, generated against the oracle: each statement fits the schema that the ones before it have made."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from random import Random

from rome.verify.sql.ddl import create_index, create_table, schema_changes
from rome.verify.sql.dml import change
from rome.verify.sql.oracle import Oracle
from rome.verify.sql.plain import create_plain_index, create_plain_table, plain_change
from rome.verify.sql.queries import query, with_lock
from rome.verify.sql.schema import Schema, read_schema
from rome.verify.sql.script import RECONNECT, Outcome, Script, Step

LEVELS = ("SNAPSHOT", "SNAPSHOT", "READ COMMITTED", "READ COMMITTED", "SERIALIZABLE", "AUTOCOMMIT")


@dataclass(slots=True)
class Case:
    """A script and what the oracle returned for each of its steps."""

    script: Script
    outcomes: list[Outcome] = field(default_factory=list)


def generate(seed: int, length: int, level: str | None = None) -> Script:
    """Return the script of a seed."""
    random = Random(seed)  # noqa: S311 (no secret)
    level = level or random.choice(LEVELS)
    writer = _Writer(random, level)
    try:
        return Script(level, tuple(writer.steps(length)))
    finally:
        writer.oracle.close()


class _Writer:
    """Writes one script."""

    def __init__(self, random: Random, level: str) -> None:
        self.random = random
        self.level = level
        self.oracle = Oracle(level)
        self.connection = 0
        self.connections = random.choice((1, 1, 2))
        self.written: list[Step] = []
        self.savepoints: list[str] = []
        self.counted = ""
        """The functions of SQL that tell what the last statement has changed."""
        self.is_plain = random.random() < 0.35
        self.schema_share = 0.02 if self.is_plain else random.choice((0.02, 0.1, 0.25))
        self.end_share = random.choice((0.2, 0.4)) if self.is_plain else 0.1

    def steps(self, length: int) -> list[Step]:
        """Return about `length` steps: tables and rows first, then anything."""
        for _ in range(self.random.randint(1, 3)):
            schema = read_schema(self.oracle.sqlite)
            self._add(Step((create_plain_table if self.is_plain else create_table)(self.random, schema)))
        for _ in range(self.random.randint(0, 2)):
            schema = read_schema(self.oracle.sqlite)
            if self.is_plain:
                self._add(Step(create_plain_index(self.random, schema)))
            else:
                self._add(Step(create_index(self.random, schema, self.random.choice(schema.tables))))
        for _ in range(self.random.randint(0, 8)):
            self._change()
        self._end()
        while len(self.written) < length:
            self._next()
        if self.oracle.sqlite.in_transaction:
            self._add(Step("COMMIT"))
        return self.written

    def _next(self) -> None:
        draw = self.random.random()
        if self.random.random() < self.end_share:
            self._end()
        elif draw < 0.06 and not (self.is_plain and draw < 0.04):
            self._savepoint()
        elif draw < 0.06 + self.schema_share:
            self._change_schema()
        elif draw < 0.7:
            self._change()
        elif draw < 0.73 and self.counted:
            self._add(Step(f"SELECT {self.counted}"))
        else:
            self._query()

    def _change(self) -> None:
        self._add((plain_change if self.is_plain else change)(self.random, read_schema(self.oracle.sqlite)))

    def _query(self) -> None:
        schema = read_schema(self.oracle.sqlite)
        step = query(self.random, schema)
        if step is not None and self.random.random() < 0.15:
            step = with_lock(self.random, schema, step)
        self._add(step)

    def _change_schema(self) -> None:
        """Change the schema, perhaps under a savepoint, and rolled back after a change of rows."""
        is_guarded = self.random.random() < 0.2
        if is_guarded:
            self._add(Step("SAVEPOINT s3"))
        for sql in schema_changes(self.random, read_schema(self.oracle.sqlite)):
            self._add(Step(sql))
        if is_guarded and self.oracle.sqlite.in_transaction:
            self._add(change(self.random, read_schema(self.oracle.sqlite)))
            self._add(Step(self.random.choice(("ROLLBACK TO s3", "ROLLBACK TO s3", "RELEASE s3"))))

    def _add(self, step: Step | None) -> None:
        if step is not None:
            step = replace(step, connection=self.connection)
            self.counted = _counted(step, self.oracle.run(step), read_schema(self.oracle.sqlite))
            self.written.append(step)
            if not self.oracle.sqlite.in_transaction:
                self.savepoints.clear()

    def _end(self) -> None:
        """End the transaction; then, perhaps, another connection goes on, or a new one in place of this."""
        if self.oracle.sqlite.in_transaction:
            self._add(Step(self.random.choice(("COMMIT", "COMMIT", "COMMIT", "ROLLBACK"))))
            if self.oracle.sqlite.in_transaction:  # a deferred foreign key is violated
                self._add(Step("ROLLBACK"))
        if self.random.random() < 0.4:
            self._add(Step(RECONNECT))
        self.connection = self.random.randrange(self.connections)
        self.counted = ""
        self._begin()

    def _savepoint(self) -> None:
        if self.savepoints and self.random.random() < 0.6:
            verb = self.random.choice(("RELEASE", "ROLLBACK TO", "ROLLBACK TO"))
            name = self.random.choice(self.savepoints)
            at = len(self.savepoints) - self.savepoints[::-1].index(name)
            del self.savepoints[at if verb == "ROLLBACK TO" else at - 1 :]
            self._add(Step(f"{verb} {name}"))
        else:
            name = self.random.choice(("s1", "s2"))
            self._add(Step(f"SAVEPOINT {name}"))
            self.savepoints.append(name)

    def _begin(self) -> None:
        if self.level == "AUTOCOMMIT" and not self.oracle.sqlite.in_transaction and self.random.random() < 0.3:
            self._add(Step("BEGIN"))


def _counted(step: Step, outcome: Outcome, schema: Schema) -> str:
    """Return the functions that tell what a statement has changed, as far as they depend on no hidden rowid."""
    if not step.is_change or outcome.error:
        return ""
    inserted = re.match(r"(?:INSERT|REPLACE) INTO (\w+) .* VALUES ", step.sql)
    is_by_id = any(inserted and table.name == inserted[1] and table.has_rowid_key for table in schema.tables)
    return "changes(), last_insert_rowid()" if is_by_id and outcome.count and " DO " not in step.sql else "changes()"
