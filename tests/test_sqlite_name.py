"""`sqlite+rome://`: what is written for SQLite, and asks for the dialect's name, works on ROME."""

import itertools
import sqlite3

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.sql.functions import FunctionElement

import rome
from rome.dialect import SqliteRomeDialect
from rome.dialect.sqlite_name import driver_options

NUMBER = itertools.count()


@pytest.fixture
def engine():
    engine = sa.create_engine("sqlite+rome://")
    yield engine
    engine.dispose()


@pytest.fixture
def items(engine):
    table = sa.Table(
        "items",
        sa.MetaData(),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("name", sa.Text, unique=True),
        sa.Column("at", sa.DateTime),
    )
    table.create(engine)
    return table


# ── URLs ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("url", "other"),
    [
        ("sqlite+rome:///{0}?store=memory", "rome+memory:///{0}"),
        ("sqlite+rome:///{0}.rome", "rome+file://./{0}.rome"),
        ("sqlite+rome:///{1}/{0}.rome", "rome+file://{1}/{0}.rome"),
        ("sqlite+rome:///{1}/{0}.rome?durability=normal", "rome+file://{1}/{0}.rome?durability=normal"),
    ],
)
def test_a_url_leads_to_the_database_of_another(tmp_path, monkeypatch, url, other):
    monkeypatch.chdir(tmp_path)
    name = f"name{next(NUMBER)}"
    url, other = url.format(name, tmp_path), other.format(name, tmp_path)
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (a)")
    assert sa.inspect(sa.create_engine(other)).get_table_names() == ["t"]
    assert sa.make_url(str(engine.url)).render_as_string() == url
    rome.drop_database(url)
    assert sa.inspect(sa.create_engine(other)).get_table_names() == []


def test_a_host_is_a_server(redis_server):
    url = redis_server.url("named_sqlite")
    engine = sa.create_engine(url.replace("rome+redis", "sqlite+rome"))
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (a)")
    assert sa.inspect(sa.create_engine(url)).get_table_names() == ["t"]
    rome.drop_database(url)


def test_the_name_is_an_option_of_other_urls():
    name = f"name{next(NUMBER)}"
    engine = sa.create_engine(f"rome+memory:///{name}?dialect=sqlite&foreign_keys=on")
    assert (engine.dialect.name, type(engine.dialect)) == ("sqlite", SqliteRomeDialect)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (a)")
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    assert sa.inspect(sa.create_engine(f"rome+memory:///{name}")).get_table_names() == ["t"]
    assert sa.create_engine("sqlite+rome://?dialect=rome").dialect.name == "sqlite"
    with pytest.raises(rome.errors.InterfaceError, match=r"option 'dialect' .* is none of rome, sqlite"):
        sa.create_engine("rome+memory://?dialect=mysql").connect()


@pytest.mark.parametrize("url", ["sqlite+rome://", "sqlite+rome:///:memory:"])
def test_memory_is_private(url):
    engine, other = sa.create_engine(url), sa.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (a)")
    assert sa.inspect(engine).get_table_names() == ["t"]
    assert sa.inspect(other).get_table_names() == []


def test_an_unknown_option_is_an_error():
    with pytest.raises(sa.exc.InterfaceError, match="unknown option 'bogus'"):
        sa.create_engine("sqlite+rome:///x?store=memory&bogus=1").connect()


# ── arguments of the sqlite3 module ───────────────────────────────────────────────────────────────────────────────────


def test_the_arguments_of_sqlite3_are_accepted():
    arguments = {"check_same_thread": False, "timeout": 7, "cached_statements": 5, "detect_types": 0, "uri": True}
    engine = sa.create_engine("sqlite+rome://", connect_args=arguments)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 7000
    engine = sa.create_engine("sqlite+rome:///x?store=memory&check_same_thread=false&timeout=3")
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 3000


@pytest.mark.parametrize(
    ("given", "level"), [(None, "AUTOCOMMIT"), ("", "REPEATABLE READ"), ("IMMEDIATE", "REPEATABLE READ")]
)
def test_the_isolation_level_of_sqlite3(given, level):
    engine = sa.create_engine("sqlite+rome://", connect_args={"isolation_level": given})
    with engine.connect() as connection:
        assert connection.get_isolation_level() == level


def test_other_arguments_are_those_of_rome():
    assert driver_options({"isolation_level": "SERIALIZABLE", "slow_ms": 5}) == {
        "isolation_level": "SERIALIZABLE",
        "slow_ms": 5,
    }
    with pytest.raises(sa.exc.InterfaceError, match="detect_types"):
        sa.create_engine("sqlite+rome://", connect_args={"detect_types": sqlite3.PARSE_DECLTYPES}).connect()


def test_the_recipe_for_transactions_that_the_application_begins(engine, items):
    @sa.event.listens_for(engine, "connect")
    def leave_transactions_alone(dbapi_connection, _record):
        dbapi_connection.isolation_level = None
        dbapi_connection.execute("PRAGMA journal_mode=WAL")
        dbapi_connection.execute("PRAGMA foreign_keys=ON")

    @sa.event.listens_for(engine, "begin")
    def begin(connection):
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    engine.dispose()
    with engine.connect() as connection:
        connection.execute(items.insert().values(name="a"))
        with connection.begin_nested() as savepoint:
            connection.execute(items.insert().values(name="b"))
            savepoint.rollback()
        connection.commit()
        connection.execute(items.insert().values(name="c"))
        connection.rollback()
        assert connection.scalars(sa.select(items.c.name)).all() == ["a"]


@pytest.mark.parametrize("level", ["READ UNCOMMITTED", "SERIALIZABLE", "AUTOCOMMIT"])
def test_the_isolation_levels_of_sqlite(engine, items, level):
    with engine.connect().execution_options(isolation_level=level) as connection:
        connection.execute(items.insert().values(name="a"))
        connection.commit()
        assert connection.scalars(sa.select(items.c.name)).all() == ["a"]


# ── what looks at the name ────────────────────────────────────────────────────────────────────────────────────────────


class now_in_words(FunctionElement):  # noqa: N801 - the name of a function
    type = sa.Text()
    inherit_cache = True


@compiles(now_in_words)
def _unsupported(element, compiler, **kw):
    raise NotImplementedError


@compiles(now_in_words, "sqlite")
def _on_sqlite(element, compiler, **kw):
    return "'now'"


def test_constructs_for_sqlite(engine, items):
    with engine.begin() as connection:
        assert engine.dialect.name == "sqlite"
        assert connection.scalar(sa.select(now_in_words())) == "now"
        sa.event.listen(
            items.metadata, "after_create", sa.DDL("CREATE INDEX i ON items (at)").execute_if(dialect="sqlite")
        )
        items.metadata.drop_all(connection)
        items.metadata.create_all(connection)
        assert [index["name"] for index in sa.inspect(connection).get_indexes("items")] == ["i"]


def test_upserts(engine, items):
    with engine.begin() as connection:
        upsert = insert(items).values(name="a")
        first = connection.execute(upsert.returning(items.c.id)).scalar()
        upsert = upsert.on_conflict_do_update(index_elements=["name"], set_={"at": sa.func.datetime("2020-01-01")})
        assert connection.execute(upsert.returning(items.c.id)).scalar() == first
        connection.execute(insert(items).values(name="a").on_conflict_do_nothing())
        assert connection.scalar(sa.select(sa.func.count()).select_from(items)) == 1


def test_foreign_keys_are_off_until_they_are_switched_on(engine):
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE p (id INTEGER PRIMARY KEY)")
        connection.exec_driver_sql("CREATE TABLE c (p INTEGER REFERENCES p)")
        connection.exec_driver_sql("INSERT INTO c VALUES (1)")
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA foreign_keys = ON")
        with pytest.raises(sa.exc.IntegrityError):
            connection.exec_driver_sql("INSERT INTO c VALUES (2)")
    with sa.create_engine("sqlite+rome://?foreign_keys=on").connect() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_the_orm(engine):
    class Base(DeclarativeBase):
        pass

    class Note(Base):
        __tablename__ = "notes"
        __table_args__ = {"sqlite_autoincrement": True}
        id: Mapped[int] = mapped_column(primary_key=True)
        body: Mapped[dict] = mapped_column(sa.JSON)

    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(Note(body={"a": [1]}))
        session.commit()
        assert session.scalars(sa.select(Note).where(Note.body["a"][0].as_integer() == 1)).one().id == 1
    assert "AUTOINCREMENT" in str(sa.schema.CreateTable(Note.__table__).compile(dialect=SqliteRomeDialect()))


def test_batch_mode_of_alembic(engine):
    pytest.importorskip("alembic")
    from alembic.ddl.sqlite import SQLiteImpl
    from alembic.migration import MigrationContext
    from alembic.operations import Operations

    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE p (id INTEGER PRIMARY KEY, a TEXT)")
        connection.exec_driver_sql("CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p ON DELETE CASCADE)")
        connection.exec_driver_sql("INSERT INTO p VALUES (1, 'x')")
        connection.exec_driver_sql("INSERT INTO c VALUES (1, 1)")
    with engine.begin() as connection:
        context = MigrationContext.configure(connection)
        assert type(context.impl) is SQLiteImpl
        with Operations(context).batch_alter_table("p") as batch:
            batch.alter_column("a", nullable=False)
            batch.create_unique_constraint("uq_a", ["a"])
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT * FROM p JOIN c ON c.p = p.id").all() == [(1, "x", 1, 1)]
        assert sa.inspect(connection).get_unique_constraints("p") == [{"name": "uq_a", "column_names": ["a"]}]
        assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []


def test_an_insert_returns_no_rows_and_the_key_is_known(engine, items):
    with engine.begin() as connection:
        for statement, key in (
            (items.insert().values(name="a"), 1),
            (items.insert().values(id=5, name="b"), 5),
            (insert(items).values(id=5, name="b").on_conflict_do_nothing(), 5),
            (insert(items).values(id=5).on_conflict_do_update(index_elements=["id"], set_={"name": "c"}), 5),
        ):
            result = connection.execute(statement)
            assert not result.returns_rows
            assert tuple(result.inserted_primary_key) == (key,)
