"""Operations of the ORM fuzzer that change objects and rows.

Each takes a session and a source of choices, and returns what two databases with the same rows answer alike: never an
id, because a transaction that is rolled back uses up ids in one of them.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Sequence
from typing import Any

from sqlalchemy import case, delete, func, insert, literal, select, update
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.orm import Session

from rome.verify.orm.models import Leaf, Node, Note, Phase, Tag, node_tags

_LABELS = 40
_TAGS = "abcdefgh"
_EPOCH = dt.datetime(2026, 1, 1)


def label(rng: random.Random) -> str:
    """Return the label of a node that may exist."""
    return f"n{rng.randrange(_LABELS)}"


def some_node(session: Session, rng: random.Random) -> Node | None:
    """Return a node, if there is one."""
    found = session.scalars(select(Node).where(Node.label >= label(rng)).order_by(Node.label).limit(1)).first()
    return found or session.scalars(select(Node).order_by(Node.label).limit(1)).first()


def some_tag(session: Session, rng: random.Random) -> Tag:
    """Return a tag; a new one, if there is none of the name."""
    name = rng.choice(_TAGS)
    return session.get(Tag, name) or Tag(name=name, weight=rng.randrange(5))


def _values(rng: random.Random) -> dict[str, Any]:
    """Return values of some columns."""
    choices = {
        "number": rng.choice([None, 0, 1, 2, 5, 10, -3]),
        "ratio": rng.choice([None, 0.0, 1.5, -2.25, 1e10]),
        "state": rng.choice(list(Phase)),
        "data": rng.choice([None, {}, [1, "zwei", None], {"a": {"b": [True]}}, "text", 3]),
        "seen": rng.choice([None, _EPOCH + dt.timedelta(hours=rng.randrange(99), microseconds=rng.randrange(9))]),
        "place": rng.choice([None, None, 1, 2, 3]),
    }
    return {name: choices[name] for name in sorted(choices) if rng.random() < 0.5}


def add_nodes(session: Session, rng: random.Random) -> Any:
    """Add some nodes at once, with what belongs to them."""
    parent = some_node(session, rng) if rng.random() < 0.5 else None
    added: list[Node] = []
    for _ in range(rng.randrange(1, 5)):
        if rng.random() < 0.4:
            owner = some_tag(session, rng)
            session.add(owner)
            session.flush()
            node: Node = Leaf(label=label(rng), size=rng.randrange(9), owner=owner.name, **_values(rng))
        else:
            node = Node(label=label(rng), **_values(rng))
        node.parent = parent if rng.random() < 0.5 else rng.choice([None, *added])
        node.notes = [Note(position=at, text=rng.choice("xyz")) for at in range(rng.randrange(3))]
        node.tags = list({tag.name: tag for tag in (some_tag(session, rng) for _ in range(rng.randrange(3)))}.values())
        session.add(node)
        added.append(node)
    return None


def change_node(session: Session, rng: random.Random) -> Any:
    """Set attributes of a node."""
    node = some_node(session, rng)
    if node is None:
        return None
    for name, value in _values(rng).items():
        setattr(node, name, value)
    if isinstance(node, Leaf):
        if rng.random() < 0.3:
            node.size = Leaf.size + 1
            session.flush()  # until then the attribute is the expression
        else:
            node.size = rng.randrange(9)
    if rng.random() < 0.2:
        node.label = label(rng)
    return node.label


def move_node(session: Session, rng: random.Random) -> Any:
    """Give a node another parent, or none."""
    node, parent = some_node(session, rng), some_node(session, rng)
    if node is not None and node is not parent:
        node.parent = rng.choice([parent, None])
    return node and node.label


def change_notes(session: Session, rng: random.Random) -> Any:
    """Add, change and remove notes of a node."""
    node = some_node(session, rng)
    if node is None:
        return None
    for note in list(node.notes):
        choice = rng.randrange(3)
        if choice == 0:
            node.notes.remove(note)
        elif choice == 1:
            note.text += rng.choice("xyz")
    node.notes.append(Note(position=rng.randrange(10), text="new"))
    return [(note.position, note.text) for note in node.notes]


def change_tags(session: Session, rng: random.Random) -> Any:
    """Add tags to a node, and remove some; from either side."""
    node, tag = some_node(session, rng), some_tag(session, rng)
    if node is None:
        return None
    if rng.random() < 0.5:
        if tag in node.tags:
            node.tags.remove(tag)
        else:
            node.tags.append(tag)
    else:
        session.add(tag)
        if node in tag.nodes:
            tag.nodes.remove(node)
        else:
            tag.nodes.append(node)
    session.flush()
    return sorted(each.name for each in node.tags)


def delete_node(session: Session, rng: random.Random) -> Any:
    """Delete a node; its children lose their parent."""
    node = some_node(session, rng)
    if node is not None:
        session.delete(node)
    return node and node.label


def delete_tag(session: Session, rng: random.Random) -> Any:
    """Delete a tag, which leaves may have as their owner."""
    tag = session.get(Tag, rng.choice(_TAGS))
    if tag is not None:
        session.delete(tag)
    return tag is not None


def merge_node(session: Session, rng: random.Random) -> Any:
    """Merge the state of a detached object."""
    node = some_node(session, rng)
    if node is None:
        return None
    session.flush()
    detached = type(node)(id=node.id, label=node.label, version=node.version, **_values(rng))
    merged = session.merge(detached)
    return merged.label, merged is node


def _some_rows(rng: random.Random) -> Any:
    return rng.choice(
        [
            Node.number > rng.randrange(5),
            Node.label.in_([label(rng) for _ in range(rng.randrange(4))]),
            Node.state == rng.choice(list(Phase)),
            Node.notes.any(Note.text.like("x%")),
            Node.tags.any(Tag.name == rng.choice(_TAGS)),
            Node.parent_id.is_(None) & Node.ratio.is_not(None),
        ]
    )


def update_in_bulk(session: Session, rng: random.Random) -> Any:
    """Change all nodes that match, while the session has some of them."""
    value: Any = rng.choice(
        [
            rng.randrange(9),
            func.coalesce(Node.number, 0) + 1,
            case((Node.state == Phase.NEW, 1), else_=Node.number),
            select(func.count()).select_from(Note).where(Note.node_id == Node.id).scalar_subquery(),
        ]
    )
    statement = update(Node).where(_some_rows(rng)).values(number=value, version=Node.version + 1)
    if rng.random() < 0.5:
        found = session.scalars(
            statement.returning(Node.label), execution_options={"synchronize_session": "fetch"}
        ).all()
        return sorted(found)
    synchronize = rng.choice(["fetch", "auto", False])
    result: Any = session.execute(statement, execution_options={"synchronize_session": synchronize})
    if not synchronize:
        session.expire_all()
    return result.rowcount


def delete_in_bulk(session: Session, rng: random.Random) -> Any:
    """Delete all rows that match."""
    choice = rng.randrange(3)
    if choice == 0:
        statement: Any = delete(Note).where(Note.position >= rng.randrange(8))
    elif choice == 1:
        statement = delete(node_tags).where(node_tags.c.tag == rng.choice(_TAGS))
    else:
        childless = ~select(1).where(Node.__table__.alias("child").c.parent_id == Node.id).exists()
        statement = delete(Node).where(_some_rows(rng), childless, Node.kind == "node")
    result: Any = session.execute(statement, execution_options={"synchronize_session": "fetch"})
    return result.rowcount


def insert_in_bulk(session: Session, rng: random.Random) -> Any:
    """Insert many rows by one statement."""
    rows: list[dict[str, Any]] = [
        {"label": label(rng), "number": rng.choice([None, 7]), "kind": "node", "version": 1}
        for _ in range(rng.randrange(1, 6))
    ]
    if rng.random() < 0.5:
        labels = session.scalars(insert(Node).returning(Node.label, sort_by_parameter_order=True), rows).all()
        return list(labels)
    session.execute(insert(Node), rows)
    return None


def upsert_rows(session: Session, rng: random.Random) -> Any:
    """Insert tags, or do something else if they exist."""
    statement = upsert(Tag).values([{"name": rng.choice(_TAGS), "weight": at} for at in range(3)])
    if rng.random() < 0.5:
        statement = statement.on_conflict_do_nothing(index_elements=["name"])
    else:
        statement = statement.on_conflict_do_update(
            index_elements=["name"],
            set_={"weight": Tag.weight + statement.excluded.weight},
            where=Tag.weight < rng.randrange(10),
        )
    found: Sequence[Any] = session.execute(statement.returning(Tag.name, Tag.weight)).all()
    session.expire_all()
    return [tuple(row) for row in found]


def insert_from_select(session: Session, rng: random.Random) -> Any:
    """Insert a note for all nodes that match."""
    source = select(Node.id, literal(rng.randrange(20, 30)), Node.label).where(_some_rows(rng))
    result: Any = session.execute(insert(Note).from_select(["node_id", "position", "text"], source))
    session.expire_all()
    return result.rowcount


WRITES = {
    add_nodes: 12,
    change_node: 8,
    move_node: 5,
    change_notes: 6,
    change_tags: 6,
    delete_node: 4,
    delete_tag: 1,
    merge_node: 2,
    update_in_bulk: 4,
    delete_in_bulk: 2,
    insert_in_bulk: 3,
    upsert_rows: 3,
    insert_from_select: 2,
}
"""Operation → its weight."""
