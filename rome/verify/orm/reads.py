"""Operations of the ORM fuzzer that read: loading strategies, aggregates, subqueries, recursion, windows."""

from __future__ import annotations

import random
from typing import Any

from sqlalchemy import and_, exists, func, literal_column, or_, select, union_all
from sqlalchemy.orm import (
    Session,
    aliased,
    contains_eager,
    defer,
    joinedload,
    lazyload,
    load_only,
    raiseload,
    selectin_polymorphic,
    selectinload,
    subqueryload,
    with_loader_criteria,
    with_polymorphic,
)

from rome.verify.orm.models import Leaf, Node, Note, Phase, Tag, node_tags
from rome.verify.orm.writes import label, some_node

_STRATEGIES = (joinedload, selectinload, subqueryload, lazyload)


def _filters(rng: random.Random) -> list[Any]:
    choices = [
        Node.number.between(rng.randrange(3), 10),
        Node.number.is_(None),
        Node.label.in_([label(rng) for _ in range(rng.randrange(6))]),
        Node.label.not_in([label(rng)]),
        Node.label.startswith("n1"),
        or_(Node.state == Phase.READY, Node.ratio < 1),
        Node.parent.has(Node.number > 0),
        Node.children.any(),
        ~Node.tags.any(Tag.weight > 2),
        Node.data["a"].is_not(None),
        Node.seen.is_not(None),
        Node.parent_id.in_(select(Node.id).where(Node.number > rng.randrange(4))),
        exists().where(Note.node_id == Node.id, Note.text != "x"),
    ]
    return rng.sample(choices, rng.choice([0, 1, 1, 2]))


def _described(node: Node, depth: int = 1) -> Any:
    related = (
        node.parent.label if node.parent else None,
        [(note.position, note.text) for note in node.notes],
        [tag.name for tag in node.tags],
        [_described(child, depth - 1) for child in node.children]
        if depth
        else [child.label for child in node.children],
    )
    leaf = (node.size, node.owner) if isinstance(node, Leaf) else None
    return node.label, node.number, node.ratio, node.state, node.data, node.seen, node.version, leaf, related


def load_nodes(session: Session, rng: random.Random) -> Any:
    """Load nodes with their relationships, by strategies that the choices name."""
    options: list[Any] = [
        rng.choice(_STRATEGIES)(Node.notes),
        rng.choice(_STRATEGIES)(Node.tags),
        rng.choice(_STRATEGIES)(Node.parent),
        rng.choice(_STRATEGIES)(Node.children).options(rng.choice(_STRATEGIES)(Node.notes)),
    ]
    if rng.random() < 0.3:
        options.append(selectin_polymorphic(Node, [Leaf]))
    if rng.random() < 0.2:
        options.append(rng.choice([load_only(Node.label), defer(Node.data)]))
    statement = select(Node).where(*_filters(rng)).options(*options)
    order = rng.choice([(Node.label,), (Node.number.desc(), Node.label), (Node.state, Node.label.desc())])
    statement = statement.order_by(*order)
    if rng.random() < 0.5:
        statement = statement.limit(rng.randrange(6)).offset(rng.randrange(4))
    if rng.random() < 0.2:
        statement = statement.execution_options(populate_existing=True)
    return [_described(node) for node in session.scalars(statement).unique()]


def load_polymorphic(session: Session, rng: random.Random) -> Any:
    """Load nodes with the columns of their own tables, and filter by these."""
    both = with_polymorphic(Node, [Leaf])
    statement = select(both).where(or_(both.Leaf.size > rng.randrange(9), both.kind == "node")).order_by(both.label)
    found = [(node.label, type(node).__name__) for node in session.scalars(statement)]
    leaves = session.scalars(select(Leaf).where(Leaf.size >= rng.randrange(5)).order_by(Leaf.size, Leaf.label))
    return found, [(leaf.label, leaf.size, leaf.number) for leaf in leaves]


def load_join(session: Session, rng: random.Random) -> Any:
    """Load a relationship from the join that also filters it."""
    statement = (
        select(Node)
        .outerjoin(Node.notes)
        .where(or_(Note.position < rng.randrange(5), Note.position.is_(None)), *_filters(rng))
        .options(contains_eager(Node.notes), raiseload(Node.children))
        .order_by(Node.label, Note.position)
        .execution_options(populate_existing=True)
    )
    found = [(node.label, [note.position for note in node.notes]) for node in session.scalars(statement).unique()]
    session.expire_all()
    return found


def load_with_criteria(session: Session, rng: random.Random) -> Any:
    """Load nodes with only some of their notes."""
    option = with_loader_criteria(Note, Note.text != rng.choice(["x", "new"]))
    statement = select(Node).options(option, selectinload(Node.notes)).order_by(Node.label)
    found = session.scalars(statement.execution_options(populate_existing=True))
    described = [(node.label, [note.text for note in node.notes]) for node in found]
    session.expire_all()
    return described


def aggregate(session: Session, rng: random.Random) -> Any:
    """Count and sum over groups."""
    child = aliased(Node)
    statement = rng.choice(
        [
            select(Node.state, func.count(), func.sum(Node.number), func.avg(Node.ratio))
            .where(*_filters(rng))
            .group_by(Node.state)
            .having(func.count() > rng.randrange(3))
            .order_by(Node.state),
            select(Node.label, func.count(child.id), func.max(child.label))
            .outerjoin(child, child.parent_id == Node.id)
            .group_by(Node.id)
            .order_by(func.count(child.id).desc(), Node.label)
            .limit(5),
            select(Tag.name, func.count(node_tags.c.node_id.distinct()))
            .join_from(Tag, node_tags, isouter=True)
            .group_by(Tag.name)
            .order_by(Tag.name),
            select(func.count()).select_from(select(Node.number).distinct().where(*_filters(rng)).subquery()),
        ]
    )
    return [tuple(row) for row in session.execute(statement)]


def read_rows(session: Session, rng: random.Random) -> Any:
    """Read columns by recursion, windows, unions and derived tables."""
    other = aliased(Node)
    tree = (
        select(Node.id, Node.label, literal_column("0").label("depth"))
        .where(Node.parent_id.is_(None))
        .cte(recursive=True)
    )
    tree = tree.union_all(
        select(other.id, other.label, tree.c.depth + 1).where(other.parent_id == tree.c.id, tree.c.depth < 6)
    )
    page = select(Node.id, Node.label).where(*_filters(rng)).order_by(Node.label).limit(rng.randrange(1, 6)).subquery()
    rank = func.row_number().over(partition_by=Node.state, order_by=(Node.number.desc(), Node.label))
    statement: Any = rng.choice(
        [
            select(tree.c.label, tree.c.depth).order_by(tree.c.depth, tree.c.label),
            select(Node.label, rank).where(*_filters(rng)).order_by(Node.label),
            union_all(select(Node.label.label("name")).where(*_filters(rng)), select(Tag.name.label("name"))).order_by(
                "name"
            ),
            select(page.c.label, Note.position)
            .select_from(page)
            .outerjoin(Note, and_(Note.node_id == page.c.id, Note.position < 5))
            .order_by(page.c.label, Note.position),
            select(
                Node.label,
                select(func.group_concat(Note.text)).where(Note.node_id == Node.id).correlate(Node).scalar_subquery(),
            )
            .where(*_filters(rng))
            .order_by(Node.label),
        ]
    )
    return [tuple(row) for row in session.execute(statement)]


def stream_nodes(session: Session, rng: random.Random) -> Any:
    """Read nodes in parts, and stop in the midst of them."""
    result = session.scalars(
        select(Node).where(*_filters(rng)).order_by(Node.label).execution_options(yield_per=rng.randrange(1, 5))
    )
    first = result.fetchmany(rng.randrange(1, 7))
    result.close()
    return [node.label for node in first]


def lock_node(session: Session, rng: random.Random) -> Any:
    """Lock and read a row, and refresh it."""
    node = some_node(session, rng)
    if node is None:
        return None
    session.flush()
    locked = session.get(Node, node.id, with_for_update=True, populate_existing=True)
    session.refresh(node, rng.choice([None, ["number", "state"], ["notes"]]))
    return locked is node, _described(node, 0)


READS = {
    load_nodes: 12,
    load_polymorphic: 3,
    load_join: 3,
    load_with_criteria: 1,
    aggregate: 5,
    read_rows: 6,
    stream_nodes: 2,
    lock_node: 3,
}
"""Operation → its weight."""
