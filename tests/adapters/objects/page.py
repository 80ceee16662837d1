"""Run the examples of docs/objects.rst one after the other, in a process of their own: they define objects."""

import datetime as dt
import sys
import types

import sqlalchemy as sa
from oslo_config import cfg
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from rome_objects import database
from rome_objects.options import register_opts
from tests.test_documentation import examples

PAGE = "docs/objects.rst"


class Base(DeclarativeBase):
    pass


class Service(Base):
    """Nova's model: its columns, and its soft deletion."""

    __tablename__ = "services"
    __table_args__ = (sa.UniqueConstraint("host", "topic", "deleted"), sa.UniqueConstraint("host", "binary", "deleted"))
    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[str | None] = mapped_column(sa.String(36))
    host: Mapped[str | None] = mapped_column(sa.String(255))
    binary: Mapped[str | None] = mapped_column(sa.String(255))
    topic: Mapped[str | None] = mapped_column(sa.String(255))
    report_count: Mapped[int] = mapped_column(default=0)
    disabled: Mapped[bool | None] = mapped_column(default=False)
    disabled_reason: Mapped[str | None] = mapped_column(sa.String(255))
    last_seen_up: Mapped[dt.datetime | None]
    forced_down: Mapped[bool | None] = mapped_column(default=False)
    version: Mapped[int | None] = mapped_column(default=0)
    created_at: Mapped[dt.datetime | None]
    updated_at: Mapped[dt.datetime | None]
    deleted_at: Mapped[dt.datetime | None]
    deleted: Mapped[int | None] = mapped_column(default=0)


def main():
    register_opts(cfg.CONF)
    cfg.CONF([], default_config_files=[], default_config_dirs=[])
    cfg.CONF.set_override("connection", "rome+memory:///page", "database")
    namespace = {"__name__": "example", "models": types.SimpleNamespace(Service=Service)}
    for example in examples(PAGE):
        exec(compile(example, PAGE, "exec", dont_inherit=True), namespace)
    use_nova(namespace)


def use_nova(namespace):
    """Use the object that the page ports as Nova does."""
    Base.metadata.create_all(database.engine())
    ported, services = namespace["Service"], namespace["ServiceList"]
    for host, version in (("h1", 66), ("h2", 64), ("h3", 60)):
        ported({}, host=host, binary="nova-compute", topic="compute", version=version).create()
    ported.get_by_compute_host({}, "h3").destroy()
    assert ported.get_minimum_version({}, "nova-compute") == 64
    assert [service.host for service in services.list({}, sort=["-host"])] == ["h2", "h1"]
    primitive = ported.get_by_compute_host({}, "h1").obj_to_primitive()
    assert (primitive["nova_object.namespace"], primitive["nova_object.version"]) == ("nova", "1.22")


if __name__ == "__main__":
    sys.exit(main())
