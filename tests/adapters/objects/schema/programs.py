"""The objects of two releases, and processes of each, all within this process."""

from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from rome_objects import database
from rome_objects.base import Object
from rome_objects.lists import ObjectList
from rome_objects.schema import on_load
from rome_objects.schema.releases import load

SCRIPTS = [str(Path(__file__).with_name("releases"))]
CONTEXT = {"user": "anna"}


class OldBase(DeclarativeBase):
    pass


class NewBase(DeclarativeBase):
    pass


class OldInstanceModel(OldBase):
    __tablename__ = "instances"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(sa.String(30), unique=True)
    size: Mapped[str] = mapped_column(sa.String(20))
    state: Mapped[str | None] = mapped_column(sa.String(20))


class EventModel(OldBase):
    __tablename__ = "events"
    id: Mapped[int] = mapped_column(primary_key=True)
    instance_id: Mapped[int] = mapped_column(sa.ForeignKey("instances.id"))
    text: Mapped[str] = mapped_column(sa.String(30))


class NewInstanceModel(NewBase):
    __tablename__ = "instances"
    id: Mapped[int] = mapped_column(primary_key=True)
    display_name: Mapped[str] = mapped_column(sa.String(30), unique=True)
    cores: Mapped[int]
    memory: Mapped[int]
    state: Mapped[str | None] = mapped_column(sa.String(20))
    note: Mapped[str | None] = mapped_column(sa.String(30))


class ActionModel(NewBase):
    __tablename__ = "actions"
    id: Mapped[int] = mapped_column(primary_key=True)
    instance_id: Mapped[int] = mapped_column(sa.ForeignKey("instances.id"))
    message: Mapped[str] = mapped_column(sa.String(30))


class NoteModel(NewBase):
    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True)
    action_id: Mapped[int] = mapped_column(sa.ForeignKey("actions.id"))


class OldInstance(Object):
    model = OldInstanceModel


class OldInstances(ObjectList, of=OldInstance):
    pass


class Event(Object):
    model = EventModel


class Events(ObjectList, of=Event):
    pass


class NewInstance(Object):
    model = NewInstanceModel


class NewInstances(ObjectList, of=NewInstance):
    pass


class Action(Object):
    model = ActionModel


class Actions(ObjectList, of=Action):
    pass


class Note(Object):
    model = NoteModel


class Notes(ObjectList, of=Note):
    pass


class Process:
    """A process of a release: its connections, and what it knows of the migration."""

    def __init__(self, url, release):
        self.engine = sa.create_engine(url)
        releases = load(SCRIPTS)
        self._releases = releases[: [known.name for known in releases].index(release) + 1]
        self._pending = None

    @contextmanager
    def running(self):
        """Run calls of objects in this process."""
        before = database._engine
        database._engine = self.engine
        try:
            if self._pending is None:
                on_load.check(self.engine, self._releases)
                self._pending = dict(on_load.pending)
            on_load.pending.clear()
            on_load.pending.update(self._pending)
            yield
            self._pending = dict(on_load.pending)
        finally:
            database._engine = before
            on_load.pending.clear()


def two_addresses(url):
    """Return two URLs of one database. On a server, each has a catalog and plans of its own, as in two processes."""
    return url, url.replace("127.0.0.1", "localhost")
