"""`rome copy` with PostgreSQL and MariaDB as source and target, where they run.

ROME_TEST_POSTGRESQL and ROME_TEST_MARIADB name a database of SQLAlchemy in which tables may be made and dropped.
"""

import datetime as dt
import os
from decimal import Decimal

import pytest
from sqlalchemy import (
    DECIMAL,
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    create_engine,
    func,
    insert,
    select,
    text,
)
from sqlalchemy.exc import SQLAlchemyError

import rome
from rome.cli.copy import command, rows
from tests.versions import needs_sqlalchemy_2

pytestmark = [needs_sqlalchemy_2, pytest.mark.slow]
SERVERS = {
    "postgresql": ("ROME_TEST_POSTGRESQL", "postgresql+psycopg://postgres@127.0.0.1:5432/test"),
    "mariadb": ("ROME_TEST_MARIADB", "mariadb+pymysql://root@127.0.0.1:3306/test"),
}
NAME = f"rome_copy_{os.getpid()}"
METADATA = MetaData()
PARENTS = Table(
    f"{NAME}_parents",
    METADATA,
    Column("id", BigInteger, primary_key=True),
    Column("name", String(50), unique=True),
    Column("price", DECIMAL(10, 2)),
    Column("made_at", DateTime),
    Column("is_good", Boolean),
    Column("picture", LargeBinary(1000)),
    Column("details", JSON),
    CheckConstraint("price >= 0", name=f"{NAME}_positive"),
)
CHILDREN = Table(
    f"{NAME}_children",
    METADATA,
    Column("parent", ForeignKey(PARENTS.c.id), primary_key=True),
    Column("place", Integer, primary_key=True),
    Column("word", String(50), index=True),
)


@pytest.fixture(params=SERVERS)
def server(request):
    """An engine of a server with both tables, 60 parents and 120 children."""
    variable, default = SERVERS[request.param]
    try:
        engine = create_engine(os.environ.get(variable, default))
        METADATA.drop_all(engine)
        METADATA.create_all(engine)
    except (SQLAlchemyError, ModuleNotFoundError) as error:
        if os.environ.get(variable):
            raise
        pytest.skip(f"no {request.param} at {default}: start one, or set {variable} ({type(error).__name__})")
    moment = dt.datetime(2026, 1, 31, 12, 0)
    with engine.begin() as connection:
        ids = range(1, 61)
        values = [
            (at, f"Größe {at}", Decimal("1.50") * at, moment, at % 2 == 0, b"\x00\xff", {"a": [at]}) for at in ids
        ]
        names = [column.name for column in PARENTS.columns]
        connection.execute(insert(PARENTS), [dict(zip(names, row, strict=True)) for row in values])
        pairs = [{"parent": at, "place": place, "word": f"w{place}"} for at in range(1, 61) for place in (1, 2)]
        connection.execute(insert(CHILDREN), pairs)
    yield engine
    METADATA.drop_all(engine)
    engine.dispose()


def address(engine):
    return engine.url.render_as_string(hide_password=False)


def options():
    return ("--json", "--batch", 7, "--tables", f"{PARENTS.name},{CHILDREN.name}")


def test_there_and_back(run, server, tmp_path):
    target = tmp_path / "copy.rome"
    there = run("copy", *options(), address(server), target).json["tables"]
    assert [each["rows"] for each in there] == [60, 120]
    assert "no faults" in run("check", target).out
    with server.connect() as connection:
        before = [connection.execute(select(table).order_by(*table.primary_key)).all() for table in (PARENTS, CHILDREN)]
    METADATA.drop_all(server)
    back = run("copy", *options(), target, address(server)).json["tables"]
    assert [each["checksum"] for each in back] == [each["checksum"] for each in there]
    with server.connect() as connection:
        after = [connection.execute(select(table).order_by(*table.primary_key)).all() for table in (PARENTS, CHILDREN)]
    assert [[str(row) for row in each] for each in after] == [[str(row) for row in each] for each in before]


def test_a_source_that_changes_is_read_as_of_one_moment(run, server, tmp_path, monkeypatch):
    number = [1000]

    def disturbed(*arguments):
        for size in rows.copied_batches(*arguments):
            number[0] += 1
            with server.begin() as connection:
                connection.execute(insert(PARENTS).values(id=number[0], name=f"late {number[0]}"))
                connection.execute(text(f"DELETE FROM {CHILDREN.name} WHERE parent = {number[0] - 990}"))
            yield size

    monkeypatch.setattr(command, "copied_batches", disturbed)
    report = run("copy", *options(), address(server), tmp_path / "copy.rome").json["tables"]
    assert [each["rows"] for each in report] == [60, 120]
    assert not any(each["differs"] for each in report)
    with server.connect() as connection:
        assert connection.execute(select(func.count()).select_from(PARENTS)).scalar_one() > 60
    assert "no faults" in run("check", tmp_path / "copy.rome").out


def test_a_check_is_copied(run, server, tmp_path):
    target = tmp_path / "copy.rome"
    notes = run("copy", *options(), address(server), target).json["notes"]
    assert not any("positive" in note or "price" in note for note in notes)
    connection = rome.connect(f"rome+file://{target}")
    with pytest.raises(rome.dbapi.IntegrityError, match="CHECK"):
        connection.execute(f"INSERT INTO {PARENTS.name} (id, price) VALUES (99, -1)")
    connection.close()
    METADATA.drop_all(server)
    run("copy", *options(), target, address(server))
    with server.connect() as connection, pytest.raises(SQLAlchemyError):
        connection.execute(insert(PARENTS).values(id=99, price=-1))
