"""SQLAlchemy-Utils creates, drops and finds databases."""

import pytest
import sqlalchemy as sa

utils = pytest.importorskip("sqlalchemy_utils")


def test_a_database_is_created_found_and_dropped(url):
    assert not utils.database_exists(url)
    utils.create_database(url)
    assert utils.database_exists(url)
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (a)")
    engine.dispose()
    assert utils.database_exists(engine.url)
    utils.drop_database(url)
    assert not utils.database_exists(url)
    assert sa.inspect(engine).get_table_names() == []
    with pytest.raises(sa.exc.OperationalError, match="does not exist"):
        utils.drop_database(url)


def test_other_dialects_are_left_alone(tmp_path, url):
    sa.create_engine(url)
    assert not utils.database_exists(f"sqlite:///{tmp_path}/x.db")
    utils.create_database(f"sqlite:///{tmp_path}/x.db")
    assert utils.database_exists(f"sqlite:///{tmp_path}/x.db")


def test_an_engine_without_a_database_says_so(redis_server):
    engine = sa.create_engine(redis_server.url(""))
    with engine.connect() as connection, pytest.raises(sa.exc.OperationalError, match="names no database"):
        connection.exec_driver_sql("CREATE TABLE t (a)")
