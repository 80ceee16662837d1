"""The number of round trips of each workload, counted by the store."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from sqlalchemy import ForeignKey, String, create_engine, func, or_, select, tuple_, union, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, aliased, joinedload, mapped_column, relationship

NUMBER = itertools.count()


class Base(DeclarativeBase):
    pass


class Parent(Base):
    __tablename__ = "parents"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50), unique=True)
    color: Mapped[str | None] = mapped_column(String(20), index=True)
    children: Mapped[list[Child]] = relationship()


class Child(Base):
    __tablename__ = "children"
    id: Mapped[int] = mapped_column(primary_key=True)
    parent_id: Mapped[int] = mapped_column(ForeignKey("parents.id"))
    name: Mapped[str] = mapped_column(String(50))


class Workload:
    """A database with some rows, and a counter of round trips."""

    def __init__(self, url: str) -> None:
        self.engine = create_engine(url)
        Base.metadata.create_all(self.engine)
        with Session(self.engine) as session:
            for number in range(20):
                children = [Child(name=f"child {at}") for at in range(3)]
                session.add(Parent(name=f"p{number}", color="red" if number % 2 else "blue", children=children))
            session.commit()
        connection = self.engine.raw_connection()
        driver = connection.driver_connection
        assert driver is not None
        self.stats = driver.stats
        connection.close()
        self._before = 0

    def __enter__(self) -> Session:
        self.session = Session(self.engine)
        self._before = self.stats.rounds
        return self.session

    def __exit__(self, *_: object) -> None:
        self.session.close()
        self.rounds = self.stats.rounds - self._before


@pytest.fixture
def workload(url: str) -> Iterator[Workload]:
    workload = Workload(url)
    yield workload
    workload.engine.dispose()


def test_get(workload: Workload) -> None:
    with workload as session:
        assert session.get(Parent, 3) is not None
    assert workload.rounds == 1


def test_unique_column(workload: Workload) -> None:
    with workload as session:
        assert session.scalars(select(Parent).where(Parent.name == "p7")).one().color == "red"
    assert workload.rounds == 1


def test_index(workload: Workload) -> None:
    with workload as session:
        assert len(session.scalars(select(Parent).where(Parent.color == "red")).all()) == 10
    assert workload.rounds == 1


def test_a_list_without_values(workload: Workload) -> None:
    """Services query the children of an empty list of parents."""
    with workload as session:
        assert session.scalars(select(Parent).where(Parent.color.in_([]))).all() == []
        joined = select(Child).join(Parent).where(Parent.name.in_([]))
        assert session.scalars(joined).all() == []
    assert workload.rounds == 0
    with workload as session:
        assert len(session.scalars(select(Parent).where(Parent.color.not_in([]))).all()) == 20
        pairs = tuple_(Parent.id, Parent.name)
        assert session.scalars(select(Parent).where(pairs.in_([]))).all() == []
        assert len(session.scalars(select(Parent).where(pairs.not_in([]))).all()) == 20
        assert session.scalars(select(Parent.id).where(or_(Parent.id == 3, Parent.color.in_([])))).all() == [3]


def test_joined_collection(workload: Workload) -> None:
    with workload as session:
        parent = session.get(Parent, 3, options=[joinedload(Parent.children)])
        assert parent is not None
        assert len(parent.children) == 3
    assert workload.rounds == 1


def test_get_change_commit(workload: Workload) -> None:
    with workload as session:
        parent = session.get(Parent, 3)
        assert parent is not None
        parent.color = "green"
        session.commit()
    assert workload.rounds == 2


def test_insert_with_unique_columns(workload: Workload) -> None:
    with workload as session:
        session.add(Parent(name="new"))
        session.commit()
    assert workload.rounds == 2


def test_parent_and_children(workload: Workload) -> None:
    with workload as session:
        session.add(Parent(name="new", children=[Child(name="a"), Child(name="b")]))
        session.commit()
    assert workload.rounds == 2


def test_bulk_update(workload: Workload) -> None:
    with workload as session:
        session.execute(update(Parent).where(Parent.color == "red").values(color="pink"))
        session.commit()
    assert workload.rounds == 2


def test_the_latest_of_each_group(workload: Workload) -> None:
    """As Nova finds the latest fault of each instance: the rows of the greatest ids are fetched with the groups."""
    last = func.max(Child.id).label("id")
    latest = select(last).where(Child.parent_id.in_([3, 5])).group_by(Child.parent_id).subquery()
    with workload as session:
        children = session.scalars(select(Child).join(latest, Child.id == latest.c.id)).all()
        assert [child.name for child in children] == ["child 2", "child 2"]
    assert workload.rounds == 1


def test_a_union_and_its_collections(workload: Workload) -> None:
    """As Glance lists images: the collections of a UNION's rows are fetched by the rows' keys."""
    red, third = (select(Parent).where(each) for each in (Parent.color == "red", Parent.id == 3))
    either = aliased(Parent, union(red, third).subquery())
    with workload as session:
        page = select(either).order_by(either.id).limit(4).options(joinedload(either.children))
        parents = session.scalars(page).unique().all()
        assert [(parent.id, len(parent.children)) for parent in parents] == [(2, 3), (3, 3), (4, 3), (6, 3)]
    assert workload.rounds == 2
