"""The additions of RomeDialect to SQLAlchemy's SQLite dialect. SQLAlchemy's own suite is in tests/dialect."""

import decimal
import gc
import threading
import warnings

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import types as sqltypes
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.schema import CreateTable

import rome
from rome.dialect import RomeDialect, insert
from rome.errors import Conflict


@pytest.fixture
def engine():
    engine = sa.create_engine("rome+memory://")
    yield engine
    engine.dispose()


@pytest.fixture
def items(engine):
    table = sa.Table("items", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.Text))
    table.create(engine)
    return table


def ddl(table):
    return " ".join(str(CreateTable(table).compile(dialect=RomeDialect())).split())


# ── databases and connections ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_url_without_a_name_is_a_private_database(engine, items):
    with engine.begin() as first, engine.connect() as second:
        first.execute(items.insert(), {"name": "a"})
        first.commit()
        assert second.scalar(sa.select(items.c.name)) == "a"
    assert not sa.inspect(sa.create_engine("rome+memory://")).has_table("items")


def test_a_private_database_is_shared_by_threads(engine, items):
    def add():
        with engine.begin() as connection:
            connection.execute(items.insert(), {"name": threading.current_thread().name})

    threads = [threading.Thread(target=add, name=f"t{n}") for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with engine.connect() as connection:
        assert set(connection.scalars(sa.select(items.c.name))) == {"t0", "t1", "t2"}


def test_a_private_database_is_dropped_after_its_engine(monkeypatch):
    gc.collect()
    sa.create_engine("rome+memory://").connect().close()
    dropped = []
    monkeypatch.setattr(rome, "drop_database", dropped.append)
    gc.collect()
    sa.create_engine("rome+memory://").connect().close()
    assert len(dropped) == 1
    assert dropped[0].startswith("rome+memory:///private-")


def test_a_named_database_is_shared_by_engines():
    one, other = (sa.create_engine("rome+memory:///test_dialect") for _ in range(2))
    with one.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (id INTEGER PRIMARY KEY)")
    assert sa.inspect(other).has_table("t")
    rome.drop_database("rome+memory:///test_dialect")


def test_an_unknown_option_is_named_in_the_error():
    with pytest.raises(sa.exc.InterfaceError, match="colour"):
        sa.create_engine("rome+memory:///test_dialect?colour=red").connect()


def test_pre_ping_makes_no_round_trip(engine, items):
    engine = sa.create_engine(engine.url.set(database="test_ping"), pool_pre_ping=True)
    engine.connect().close()
    with engine.connect() as connection:
        before = connection.connection.stats.rounds
    engine.connect().close()
    with engine.connect() as connection:
        assert connection.connection.stats.rounds == before


def test_a_closed_connection_is_replaced(engine, items):
    with engine.connect() as connection:
        connection.connection.dbapi_connection.close()
        with pytest.raises(sa.exc.ProgrammingError) as caught:
            connection.execute(sa.select(items))
        assert caught.value.connection_invalidated
        connection.rollback()
        assert connection.execute(sa.select(items)).all() == []


def test_a_conflict_leaves_the_connection_in_the_pool(engine, items):
    with engine.begin() as connection:
        connection.execute(items.insert(), {"id": 1, "name": "a"})
    with engine.connect() as first, engine.connect() as second:
        for connection in (first, second):
            assert connection.execute(sa.select(items.c.name)).scalar() == "a"
            connection.execute(items.update().values(name="b"))
        first.commit()
        with pytest.raises(sa.exc.OperationalError) as caught:
            second.commit()
        assert isinstance(caught.value.orig, Conflict)
        assert not caught.value.connection_invalidated


# ── isolation levels ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("level", "driver", "reported"),
    [
        ("SNAPSHOT", "SNAPSHOT", "REPEATABLE READ"),
        ("REPEATABLE READ", "SNAPSHOT", "REPEATABLE READ"),
        ("SERIALIZABLE", "SERIALIZABLE", "SERIALIZABLE"),
        ("READ COMMITTED", "READ COMMITTED", "READ COMMITTED"),
        ("AUTOCOMMIT", "AUTOCOMMIT", "AUTOCOMMIT"),
    ],
)
def test_isolation_levels_by_both_names(engine, level, driver, reported):
    with engine.connect().execution_options(isolation_level=level) as connection:
        assert connection.connection.isolation_level == driver
        assert connection.get_isolation_level() == reported
    with engine.connect() as connection:
        assert connection.get_isolation_level() == "REPEATABLE READ"


def test_the_url_sets_the_default_isolation_level():
    engine = sa.create_engine("rome+memory:///test_dialect?isolation_level=SERIALIZABLE")
    with engine.connect() as connection:
        assert connection.default_isolation_level == "SERIALIZABLE"
        assert connection.get_isolation_level() == "SERIALIZABLE"


# ── DDL and types ─────────────────────────────────────────────────────────────────────────────────────────────────────


class WrappedBig(sa.TypeDecorator):
    impl = sa.BigInteger
    cache_ok = True


@pytest.mark.parametrize("type_", [sa.BigInteger, sa.SmallInteger, WrappedBig, sa.Integer])
def test_generated_keys_are_integers(engine, type_):
    table = sa.Table("t", sa.MetaData(), sa.Column("id", type_, primary_key=True), sa.Column("name", sa.Text))
    table.create(engine)
    with engine.begin() as connection:
        first = connection.execute(table.insert(), {"name": "a"}).inserted_primary_key
        second = connection.execute(table.insert(), {"name": "b"}).inserted_primary_key
    assert second > first


def test_other_keys_keep_their_type():
    metadata = sa.MetaData()
    parent = sa.Table("parent", metadata, sa.Column("id", sa.BigInteger, primary_key=True))
    child = sa.Table("child", metadata, sa.Column("id", sa.BigInteger, sa.ForeignKey("parent.id"), primary_key=True))
    pair = sa.Table("pair", metadata, *(sa.Column(name, sa.BigInteger, primary_key=True) for name in "ab"))
    given = sa.Table("given", metadata, sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False))
    assert "BIGINT" not in ddl(parent)
    for table in (child, pair, given):
        assert "id INTEGER" not in ddl(table)
        assert "BIGINT" in ddl(table)


class Shout(sa.TypeDecorator):
    """Convert text to capitals, to show that values pass through a variant."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value, dialect):
        return value.upper()


def test_variants_for_sqlite_apply():
    table = sa.Table("t", sa.MetaData(), sa.Column("a", sa.String(5).with_variant(sa.CHAR(9), "sqlite")))
    assert "a CHAR(9)" in ddl(table)


def test_a_variant_for_rome_takes_precedence():
    type_ = sa.String(5).with_variant(sa.CHAR(9), "sqlite").with_variant(sa.CHAR(7), "rome")
    assert "a CHAR(7)" in ddl(sa.Table("t", sa.MetaData(), sa.Column("a", type_)))


@pytest.mark.parametrize("type_", [sa.Text(), WrappedBig(), sa.DateTime()])
def test_values_pass_through_variants(engine, type_):
    column = sa.Column("a", type_.with_variant(Shout(), "sqlite"))
    table = sa.Table("t", sa.MetaData(), column)
    table.create(engine)
    with engine.begin() as connection:
        connection.execute(table.insert(), {"a": "loud"})
        assert connection.exec_driver_sql("SELECT a FROM t").scalar() == "LOUD"


def test_a_variant_is_adapted_as_sqlites(engine):
    table = sa.Table("t", sa.MetaData(), sa.Column("a", sa.Text().with_variant(sqltypes.JSON(), "sqlite")))
    table.create(engine)
    with engine.begin() as connection:
        connection.execute(table.insert(), {"a": {"b": [1, None]}})
        assert connection.scalar(sa.select(table.c.a)) == {"b": [1, None]}


def test_sqlite_arguments_apply_and_rome_arguments_raise(engine):
    table = sa.Table("t", sa.MetaData(), sa.Column("a", sa.Integer))
    sa.Index("ix", table.c.a, unique=True, sqlite_where=table.c.a > 0)
    table.metadata.create_all(engine)
    [index] = sa.inspect(engine).get_indexes("t")
    assert str(index["dialect_options"]["sqlite_where"]) == "a > 0"
    with pytest.raises(sa.exc.ArgumentError, match="rome_where"):
        sa.Index("other", table.c.a, rome_where=table.c.a > 0)


# ── statements ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_statements_are_cached():
    assert RomeDialect.__dict__["supports_statement_cache"] is True


def test_insert_on_conflict(engine, items):
    with engine.begin() as connection:
        connection.execute(insert(items), [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}])
        upsert = insert(items).values(id=1, name="c")
        upsert = upsert.on_conflict_do_update(index_elements=["id"], set_={"name": upsert.excluded.name})
        assert connection.execute(upsert.returning(items.c.name)).all() == [("c",)]
        connection.execute(insert(items).values(id=2, name="d").on_conflict_do_nothing())
        assert connection.execute(sa.select(items.c.name).order_by(items.c.id)).all() == [("c",), ("b",)]


def test_an_upsert_prints_its_sql(items):
    assert "ON CONFLICT DO NOTHING" in str(insert(items).on_conflict_do_nothing())


def test_rows_of_a_batch_come_back_in_the_order_of_the_parameters(engine, items):
    statement = items.insert().returning(items.c.id, items.c.name, sort_by_parameter_order=True)
    rows = [{"id": n, "name": str(n)} for n in (30, 10, 20)]
    with engine.begin() as connection:
        assert connection.execute(statement, rows).all() == [(30, "30"), (10, "10"), (20, "20")]


def test_objects_get_their_keys(engine):
    class Base(DeclarativeBase):
        pass

    class Item(Base):
        __tablename__ = "item"
        id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
        name: Mapped[str]

    Base.metadata.create_all(engine)
    with Session(engine) as session:
        items = [Item(name=name) for name in "abc"]
        session.add_all(items)
        session.commit()
        assert [session.get(Item, item.id).name for item in items] == ["a", "b", "c"]


def test_regular_expressions(engine, items):
    with engine.begin() as connection:
        connection.execute(items.insert(), [{"id": n, "name": name} for n, name in enumerate(["abc", None, "xyz"])])
        found = connection.scalars(sa.select(items.c.name).where(items.c.name.regexp_match("^a"))).all()
        assert found == ["abc"]
        assert connection.exec_driver_sql("SELECT id FROM items WHERE id REGEXP '2'").all() == [(2,)]
        assert connection.scalar(sa.select(sa.literal("a").regexp_match(sa.null()))) is None


def test_savepoints(engine, items):
    with engine.begin() as connection:
        connection.execute(items.insert(), {"name": "kept"})
        savepoint = connection.begin_nested()
        connection.execute(items.insert(), {"name": "undone"})
        savepoint.rollback()
        assert connection.scalars(sa.select(items.c.name)).all() == ["kept"]


def test_in_lists_have_few_lengths() -> None:
    engine = sa.create_engine("rome+memory://")
    texts = set()
    with engine.connect() as connection:
        sa.event.listen(engine, "before_cursor_execute", lambda c, cursor, text, *rest: texts.add(text))
        for count in range(1, 200):
            statement = sa.select(sa.literal(count).in_(range(count + 1)), sa.literal(0).in_(range(1, count + 1)))
            assert connection.execute(statement).one() == (True, False)
    assert len(texts) < 40


# ── decimals ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "value", ["0", "0.1", "-12345.67", "9999999999.99999", "1e15", "9007199254740992", "9007199254740993", "1e-9"]
)
@pytest.mark.parametrize("type_", [sa.Numeric(30, 10), sa.DECIMAL(30, 10), sa.NUMERIC(30, 10)])
def test_a_decimal_comes_back_exactly_or_with_a_warning(engine, value, type_):
    exact = decimal.Decimal(value)
    table = sa.Table("amounts", sa.MetaData(), sa.Column("amount", type_))
    table.create(engine)
    with warnings.catch_warnings(record=True) as caught, engine.begin() as connection:
        warnings.simplefilter("always")
        connection.execute(table.insert(), [{"amount": exact}, {"amount": None}])
        found = connection.scalars(sa.select(table.c.amount)).all()
    is_warned = any("8-byte float" in str(each.message) for each in caught)
    assert found[1] is None
    assert (found[0] == exact) != is_warned
    assert is_warned == (value == "9007199254740993")


def test_a_decimal_of_many_digits_warns(engine):
    table = sa.Table("amounts", sa.MetaData(), sa.Column("amount", sa.Numeric(30, 10)))
    table.create(engine)
    with engine.begin() as connection, pytest.warns(sa.exc.SAWarning, match="more digits than an 8-byte float"):
        connection.execute(table.insert(), {"amount": decimal.Decimal("12345678901234567890.1234567891")})


def test_floats_and_integers_of_floats_do_not_warn(engine):
    columns = [sa.Column("f", sa.Float), sa.Column("d", sa.Double), sa.Column("n", sa.Numeric(asdecimal=False))]
    table = sa.Table("amounts", sa.MetaData(), *columns)
    table.create(engine)
    row = {"f": 0.1 + 0.2, "d": 1 / 3, "n": 2 / 3}
    with warnings.catch_warnings(), engine.begin() as connection:
        warnings.simplefilter("error")
        connection.execute(table.insert(), row)
        connection.execute(table.insert(), {"f": 1, "d": 2, "n": 3})
        assert connection.execute(sa.select(table)).all() == [tuple(row.values()), (1, 2, 3)]


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**12), max_value=10**12))
def test_no_decimal_loses_digits_silently(value):
    type_ = sa.Numeric(30, 6).dialect_impl(RomeDialect())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        bound = type_.bind_processor(RomeDialect())(value)
    found = type_.result_processor(RomeDialect(), None)(bound)
    assert caught or found == value
    assert not (caught and len(value.as_tuple().digits) <= 15)


def test_a_given_key_is_known_without_returning(engine, items):
    given = insert(items).values(id=5, name="a")
    update = {"index_elements": ["id"], "set_": {"name": "c"}}
    with engine.begin() as connection:
        for statement in (
            given,
            given.on_conflict_do_nothing(),
            given.on_conflict_do_update(**update),
            given.on_conflict_do_update(**update, where=sa.text("0")),
            given.prefix_with("OR IGNORE"),
        ):
            result = connection.execute(statement)
            assert not result.returns_rows
            assert tuple(result.inserted_primary_key) == (5,)
        generated = connection.execute(insert(items).values(name="d").on_conflict_do_nothing())
        assert tuple(generated.inserted_primary_key) == (6,)
        connection.execute(sa.text("CREATE UNIQUE INDEX u ON items (name)"))
        nothing = connection.execute(insert(items).values(name="d").on_conflict_do_nothing())
        assert (nothing.inserted_primary_key, nothing.rowcount) == (None, 0)
