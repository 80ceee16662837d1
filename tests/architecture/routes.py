"""How far one statement goes through the code: calls, functions, files, and jumps between files.

`python -m tests.architecture.routes URL` measures, in a process where nothing else has run, and prints JSON:
the name of each route and its four numbers. A jump is a call into another file than that of the call before.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from sqlalchemy import Engine, ForeignKey, create_engine, select, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

import rome
from tests.sources import ROOT

# Each UPDATE gives another value: one that changes nothing has nothing to commit.
_NUMBER = itertools.count(1000)
_ROME = str(Path(rome.__file__).parent) + "/"


class Route(NamedTuple):
    calls: int
    functions: int
    files: int
    jumps: int


# Before the packages were laid out along the pipeline, on Redis.
BEFORE = {
    "session.get": Route(57, 57, 23, 39),
    "joined SELECT, warm": Route(108, 92, 28, 66),
    "joined SELECT, cold": Route(1729, 530, 69, 503),
    "UPDATE by key, commit": Route(126, 113, 32, 87),
}


# At most: no more calls than before, and two thirds of the files and jumps.
LIMITS = {
    name: Route(before.calls, before.functions, before.files * 2 // 3, before.jumps * 2 // 3)
    for name, before in BEFORE.items()
}


class Base(DeclarativeBase):
    pass


class Parent(Base):
    __tablename__ = "parents"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    n: Mapped[int] = mapped_column(default=0)
    children: Mapped[list[Child]] = relationship(back_populates="parent")


class Child(Base):
    __tablename__ = "children"
    id: Mapped[int] = mapped_column(primary_key=True)
    pid: Mapped[int] = mapped_column(ForeignKey("parents.id"))
    v: Mapped[str]
    parent: Mapped[Parent] = relationship(back_populates="children")


def create_rows(engine: Engine) -> None:
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        for number in range(5):
            children = [Child(v=f"c{number}{child}") for child in range(3)]
            session.add(Parent(id=number + 1, name=f"p{number}", children=children))
        session.commit()


def get_by_key(session: Session) -> None:
    assert session.get(Parent, 2)


def select_joined(session: Session) -> None:
    joined = select(Parent.name, Child.v).join(Child, Child.pid == Parent.id).where(Parent.id == 3)
    assert len(session.execute(joined).all()) == 3


def update_by_key(session: Session) -> None:
    session.execute(update(Parent.__table__).where(Parent.__table__.c.id == 2).values(n=next(_NUMBER)))
    session.commit()


def trace(engine: Engine, action: Callable[[Session], None]) -> Route:
    """Return the route of an action in a new session; opening and closing the session are not counted."""
    calls: list[tuple[str, str, int]] = []

    def note(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(_ROME):
            calls.append((code.co_filename, code.co_qualname, code.co_firstlineno))

    with Session(engine) as session:
        sys.setprofile(note)
        try:
            action(session)
        finally:
            sys.setprofile(None)
    files = [file for file, _, _ in calls]
    jumps = sum(before != after for before, after in itertools.pairwise(files))
    return Route(len(calls), len(set(calls)), len(set(files)), jumps)


def measure(url: str) -> dict[str, Route]:
    """Return the routes by name. The cold one comes first; the others are measured the third time."""
    engine = create_engine(url)
    create_rows(engine)
    measured = {"joined SELECT, cold": trace(engine, select_joined)}
    warm = {"session.get": get_by_key, "joined SELECT, warm": select_joined, "UPDATE by key, commit": update_by_key}
    for name, action in warm.items():
        measured[name] = [trace(engine, action) for _ in range(3)][-1]
    engine.dispose()
    return {name: measured[name] for name in BEFORE}


def measure_in_process(url: str) -> dict[str, Route]:
    """Measure in a process of its own, so that no cache is filled by others."""
    command = [sys.executable, "-m", __name__, url]
    answer = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return {name: Route(*numbers) for name, numbers in json.loads(answer).items()}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(sys.argv[1])))
