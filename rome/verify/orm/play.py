"""Play a case on two databases, and compare what its operations answer."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import Engine, create_engine, event, exc, select
from sqlalchemy.orm import Session, aliased
from sqlalchemy.orm import exc as orm_exc
from sqlalchemy.pool import StaticPool

import rome
from rome.verify.campaign import Played, new_database
from rome.verify.minimize import minimize
from rome.verify.orm.models import Base, Leaf, Node, Note, Tag, node_tags
from rome.verify.orm.reads import READS
from rome.verify.orm.writes import WRITES

_OPERATIONS: dict[Callable[[Session, random.Random], Any], int] = {**WRITES, **READS}
_BY_NAME = {operation.__name__: operation for operation in _OPERATIONS}
_COMMIT, _ROLLBACK, _FLUSH, _EXPIRE, _EXPUNGE, _NEST = "commit", "rollback", "flush", "expire", "expunge", "nest"
_ABOUT_SESSION = {_COMMIT: 12, _ROLLBACK: 3, _FLUSH: 6, _EXPIRE: 3, _EXPUNGE: 2, _NEST: 6}
_FAILURES = (exc.SQLAlchemyError, orm_exc.StaleDataError, AssertionError)
_MOST_NESTED = 3
_TRIES = 200


@dataclass
class OrmSide:
    """One of the two databases, and the session on it."""

    engine: Engine
    session: Session
    nested: list[Any] = field(default_factory=list)
    kept: set[Any] = field(default_factory=set)
    """The objects of the session, which else forgets them whenever garbage is collected."""

    def __post_init__(self) -> None:
        for name in ("pending_to_persistent", "loaded_as_persistent"):
            event.listen(self.session, name, lambda _, instance: self.kept.add(instance))

    def run(self, step: Step) -> tuple[Any, ...]:
        """Run an operation; return its answer, or the class of its exception, after which all is rolled back."""
        rng = random.Random(step.seed)  # noqa: S311 - no secret
        operation = _BY_NAME.get(step.name)
        try:
            return "answers", operation(self.session, rng) if operation else self._run_of_session(step.name, rng)
        except _FAILURES as error:
            self.nested.clear()
            self.session.rollback()
            self._expunge()
            return "fails", type(error).__name__

    def _run_of_session(self, name: str, rng: random.Random) -> Any:
        session = self.session
        if name == _FLUSH:
            session.flush()
        elif name == _EXPIRE:
            session.expire_all()
        elif name == _EXPUNGE:
            session.flush()
            self._expunge()
        elif name == _NEST and len(self.nested) < _MOST_NESTED and rng.random() < 0.6:
            self.nested.append(session.begin_nested())
        elif name == _NEST and self.nested:
            nested = self.nested.pop()
            if rng.random() < 0.5:
                nested.commit()
            else:
                nested.rollback()
                session.flush()
                self._expunge()
        elif name == _ROLLBACK:
            self.nested.clear()
            session.rollback()
            self._expunge()
        elif name == _COMMIT:
            self.nested.clear()
            session.commit()
            return self.rows()
        return None

    def _expunge(self) -> None:
        """Forget all objects. Also after a rollback: SQLite then gives the ids of rows that are gone to new rows."""
        self.session.expunge_all()
        self.kept.clear()

    def rows(self) -> Any:
        """Return all rows as a new session sees them, without ids."""
        parent = aliased(Node)
        statements: list[Any] = [
            select(Node, parent.label).outerjoin(parent, parent.id == Node.parent_id).order_by(Node.label),
            select(Node.label, Leaf.size, Leaf.owner).select_from(Leaf).order_by(Node.label),
            select(Node.label, Note.position, Note.text).join_from(Note, Node).order_by(Node.label, Note.position),
            select(Tag.name, Tag.weight).order_by(Tag.name),
            select(Node.label, node_tags.c.tag).join_from(node_tags, Node).order_by(Node.label, node_tags.c.tag),
        ]
        with Session(self.engine) as session:
            nodes, *others = [session.execute(statement).all() for statement in statements]
            return [(*_columns(node), above) for node, above in nodes], [[*map(tuple, rows)] for rows in others]


def _columns(node: Node) -> tuple[Any, ...]:
    return node.label, node.kind, node.number, node.ratio, node.state, node.data, node.seen, node.place, node.version


class Step(NamedTuple):
    """An operation, and the seed of its choices."""

    name: str
    seed: int


def generate(seed: int, length: int) -> tuple[Step, ...]:
    """Return the operations of a case."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    weights = {operation.__name__: weight for operation, weight in _OPERATIONS.items()} | _ABOUT_SESSION
    return tuple(Step(name, rng.randrange(2**32)) for name in rng.choices([*weights], [*weights.values()], k=length))


def play(steps: Sequence[Step], store: str, autoflush: bool = True) -> str | None:
    """Play operations on a new database of a store and on SQLite; return the difference, None if all were alike."""
    url = new_database(store)
    try:
        with _side(_sqlite(), autoflush) as expected, _side(create_engine(url), autoflush) as found, _no_warnings():
            for step in steps:
                right, got = expected.run(step), found.run(step)
                if right != got:
                    return f"{step.name}\n    SQLite: {right!r}\n    ROME:   {got!r}"
    finally:
        rome.drop_database(url)
    return None


def case(seed: int, store: str, length: int) -> Played:
    """Play the case of a seed; minimize it if it fails."""
    steps, autoflush = generate(seed, length), seed % 5 > 0
    difference = play(steps, store, autoflush)
    if difference is None:
        return Played(seed, length)
    least = minimize(steps, lambda shorter: play(shorter, store, autoflush) is not None, _TRIES)
    script = "\n".join(f"{name} {own}" for name, own in least)
    return Played(seed, length, f"autoflush={autoflush}\n{script}", play(least, store, autoflush) or difference)


@contextmanager
def _side(engine: Engine, autoflush: bool) -> Iterator[OrmSide]:
    Base.metadata.create_all(engine)
    try:
        with closing(Session(engine, autoflush=autoflush)) as session:
            yield OrmSide(engine, session)
    finally:
        engine.dispose()


def _sqlite() -> Engine:
    """Return an engine of SQLite in memory, whose driver does not begin and end transactions by itself."""
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


@contextmanager
def _no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", exc.SAWarning)
        yield
