"""`rome-schema`, and the steps of an upgrade."""

import datetime as dt
import os
import subprocess
import sys

import pytest
import sqlalchemy as sa
from alembic import op
from sqlalchemy.orm import DeclarativeBase

import rome
from rome.testing import check_database
from rome_objects import database, process
from rome_objects.errors import SchemaError
from rome_objects.schema import on_load, state, steps
from rome_objects.schema.command import run
from rome_objects.schema.mirrors import Columns, Move
from rome_objects.schema.releases import Release, load
from rome_objects.services.state import ServiceColumns
from tests.adapters.objects.schema.programs import CONTEXT, SCRIPTS, NewInstance

RELEASES = load(SCRIPTS)
OLD, NEW = RELEASES


@pytest.fixture
def engine(store):
    rome.drop_database(store)
    engine = sa.create_engine(store)
    yield engine
    engine.dispose()


@pytest.fixture
def old_rows(engine):
    """Rows of the first release."""
    steps.expand(engine, [OLD])
    with engine.begin() as connection:
        for number in range(1, 8):
            connection.exec_driver_sql(
                "INSERT INTO instances VALUES (?, ?, ?, NULL)", (number, f"i{number}", f"0{number}x4")
            )
            connection.exec_driver_sql("INSERT INTO events VALUES (?, ?, 'made')", (number, number))
    return engine


@pytest.fixture
def schema(store, capsys):
    """Run the command. Return its exit status, and what it printed."""

    def call(*arguments):
        status = run(["--url", store, "--scripts", SCRIPTS[0], *arguments])
        printed = capsys.readouterr()
        return status, printed.out + printed.err

    return call


def rows(engine, sql):
    with engine.connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(sql)]


def test_an_upgrade_by_command(old_rows, schema):
    assert schema("status") == (0, "release v1\nnext: rome-schema expand\n")
    assert schema("migrate") == (
        1, "rome-schema: the database is expanded for release v1, not v2: run `rome-schema expand` first\n"
    )  # fmt: skip
    assert schema("expand") == (0, "expanded for v2\n")
    assert schema("expand") == (0, "the database is expanded already\n")
    status, text = schema("status")
    assert "release v1, expanded for v2\n" in text
    assert "events→actions: 0 of about 7 rows seen, 0 migrated\n" in text
    assert "next: rome-schema migrate\n" in text
    status, text = schema("contract")
    assert status == 1
    assert "0 of about 7 rows of events→actions are migrated: run `rome-schema migrate` before you contract" in text
    status, text = schema("migrate", "--rows", "5")
    assert "instances.cores+memory: 5 of about 7 rows seen, 5 migrated\n" in text
    assert "instances.cores+memory: done, 7 rows migrated in batches, 0 when they were loaded or written\n" in text
    assert "events→actions: done, 6 rows migrated in batches, 1 when" in text  # the last one came with expand
    assert "next: rome-schema contract, when no service of the old release runs\n" in schema("status")[1]
    assert schema("contract") == (0, "contracted to v2\n")
    assert schema("contract") == (0, "the database is contracted to v2 already\n")
    assert schema("status") == (0, "release v2\nnext: nothing, the database has the newest release\n")
    assert rows(old_rows, "SELECT id, cores, memory, display_name FROM instances") == [
        (number, number, 4, f"i{number}") for number in range(1, 8)
    ]
    assert rows(old_rows, "SELECT count(*) FROM actions") == [(7,)]
    assert rows(old_rows, "SELECT count(*) FROM sqlite_master WHERE type = 'trigger'") == [(0,)]


def test_an_empty_database_gets_the_newest_release(engine, schema):
    assert schema("expand") == (0, "expanded for v1, v2\n")
    assert "release v1, expanded for v2" in schema("status")[1]


def test_a_database_of_alembic(engine, schema):
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
        connection.exec_driver_sql("INSERT INTO alembic_version VALUES ('v1')")
        steps._run(connection, OLD.expand)
    assert schema("expand") == (0, "expanded for v2\n")
    assert "release v1, expanded for v2" in schema("status")[1]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--scripts", SCRIPTS[0], "status"], "name a database: --url, or [database] connection in --config-file"),
        (["--url", "rome+memory://", "status"], "[schema] scripts has no directory"),
        (["--url", "rome+memory://", "--scripts", "/no/such/place", "status"], "no directory /no/such/place"),
        (["--url", "rome+memory://", "--scripts", "/tmp:x", "status"], "[schema] scripts"),
        (["--url", "papyrus://", "--scripts", SCRIPTS[0], "status"], "papyrus"),
        (["shrink"], "shrink"),
    ],
)
def test_wrong_arguments(arguments, text, capsys):
    assert run(arguments) != 0
    assert text in capsys.readouterr().err


def test_a_configuration_file(old_rows, store, tmp_path, capsys):
    file = tmp_path / "fleet.conf"
    file.write_text(f"[database]\nconnection = {store}\n[schema]\nscripts = {SCRIPTS[0]}\n")
    assert run(["--config-file", str(file), "status"]) == 0
    assert capsys.readouterr().out.startswith("release v1\n")


def test_a_service_of_the_old_release(old_rows, schema):
    steps.expand(old_rows, RELEASES)
    steps.migrate(old_rows, RELEASES)
    now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
    with old_rows.begin() as connection:
        services = sa.Table(
            "services",
            sa.MetaData(),
            sa.Column("host", sa.String(20)),
            sa.Column("binary", sa.String(20)),
            sa.Column("release", sa.String(20)),
            sa.Column("updated_at", sa.DateTime),
        )
        services.create(connection)
        for host, release, age in (("h1", "v1", 5), ("h2", "v2", 5), ("h3", "v1", 3600), ("h4", None, 5)):
            at = now - dt.timedelta(seconds=age)
            connection.execute(services.insert().values(host=host, binary="compute", release=release, updated_at=at))
    status, text = schema("contract")
    assert status == 1
    assert "service compute on h1 has release v1, and reported " in text
    assert "upgrade or stop it before you contract the database to v2" in text
    assert "service compute on h4 has no release" in text
    assert "h2" not in text
    assert "h3" not in text
    with old_rows.begin() as connection:
        connection.execute(services.update().values(release="v2"))
    assert schema("contract") == (0, "contracted to v2\n")


def test_services_of_the_new_release_report_while_it_contracts(old_rows, monkeypatch):
    """Their reports are no conflict, or a contraction among many services would never end."""
    steps.expand(old_rows, RELEASES)
    steps.migrate(old_rows, RELEASES)

    class Base(DeclarativeBase):
        pass

    class Reports(ServiceColumns, Base):
        __tablename__ = "services"

    Reports.metadata.create_all(old_rows)
    with old_rows.begin() as connection:
        rows = [{"host": f"h{number}", "binary": "b", "topic": "t", "release": "v2"} for number in range(20)]
        connection.execute(sa.insert(Reports), rows)
    old_rows.dispose()
    # A connection with functions of its own is not replayed by ROME.
    sa.event.listen(old_rows, "connect", lambda connection, _: connection.create_function("one", 0, lambda: 1))
    of_other_releases = steps.reports.of_other_releases
    looked = []

    def look(*arguments):
        looked.append(of_other_releases(*arguments))
        with old_rows.begin() as connection:
            connection.execute(sa.update(Reports).values(report_count=Reports.report_count + 1))
        return looked[-1]

    monkeypatch.setattr(steps.reports, "of_other_releases", look)
    assert steps.contract(old_rows, RELEASES)
    assert looked == [[]]


def test_what_a_statement_writes_to_the_old_form_stays_as_it_is(old_rows):
    steps.expand(old_rows, RELEASES)
    with old_rows.begin() as connection:
        connection.exec_driver_sql("UPDATE instances SET size = '007x8' WHERE id = 1")
        connection.exec_driver_sql("UPDATE instances SET memory = 5 WHERE id = 2")
        connection.exec_driver_sql("UPDATE instances SET state = 'up' WHERE id = 3")
        connection.exec_driver_sql("INSERT INTO instances (id, display_name, cores) VALUES (9, 'x', 1)")
    assert rows(old_rows, "SELECT id, size, cores, memory FROM instances WHERE id IN (1, 2, 3, 9)") == [
        (1, "007x8", 7, 8),
        (2, "2x5", 2, 5),
        (3, "03x4", None, None),
        (9, None, 1, None),
    ]
    steps.migrate(old_rows, RELEASES)
    assert rows(old_rows, "SELECT size, cores, memory FROM instances WHERE id = 3") == [("03x4", 3, 4)]


def changed(*mirrors, expand=NEW.expand):
    return [OLD, Release("v2", expand, NEW.contract, mirrors)]


def no_expand():
    """Add only what may be NOT NULL."""
    op.add_column("instances", sa.Column("cores", sa.Integer))


@pytest.mark.parametrize(
    ("releases", "text"),
    [
        (changed(Columns("instances", {"size": "kernels"}, {"cores": "size"})), "kernels: no such column: kernels"),
        (changed(Columns("instances", {"size": "cores ||"}, {"cores": "size"})), "cores ||"),
        (
            changed(Columns("instances", {"size": "cores"}, {"cores": "size"}), expand=no_expand),
            "column instances.size is NOT NULL, and one of the releases does not write it: make it nullable in expand",
        ),
        (changed(Move("events", "deeds", {"id": "id"})), "table deeds has no column id"),
        (changed(Move("events", "actions", {"id": "id"})), "column events.instance_id is NOT NULL"),
        (
            changed(Move("events", "actions", {"id": "instance_id", "instance_id": "id", "text": "message"})),
            "the primary key of actions must be that of events",
        ),
    ],
)
def test_a_mirror_that_would_stop_the_old_release(old_rows, releases, text):
    with pytest.raises(SchemaError) as refused:
        steps.expand(old_rows, releases)
    assert text in str(refused.value)
    with old_rows.connect() as connection:
        assert state.read(connection).expanded == "v1"  # nothing of the step is left
    assert rows(old_rows, "SELECT count(*) FROM sqlite_master WHERE type = 'trigger' OR name = 'actions'") == [(0,)]


def test_three_releases_are_not_mixed(old_rows):
    third = [*RELEASES, Release("v3", lambda: None, lambda: None, ())]
    steps.expand(old_rows, RELEASES)
    with pytest.raises(SchemaError, match="expanded for release v2 and not contracted: run `rome-schema contract`"):
        steps.expand(old_rows, third)
    with pytest.raises(SchemaError, match="expanded for release v2, which is none of v1"):
        steps.expand(old_rows, [OLD])


def test_a_process_refuses_a_schema_of_another_release(old_rows, store, conf):
    conf.set_override("scripts", SCRIPTS, "schema")
    process.set_up(conf)
    with pytest.raises(SchemaError, match="is of release v2, and the database of v1: run `rome-schema expand` first"):
        NewInstance.get(CONTEXT, 1)
    steps.expand(old_rows, RELEASES)
    assert NewInstance.get(CONTEXT, 1).cores == 1
    steps.migrate(old_rows, RELEASES)
    steps.contract(old_rows, RELEASES)
    assert NewInstance.get(CONTEXT, 2).cores == 2
    conf.clear_override("scripts", "schema")
    database.connect_to(store, on_load.checker(RELEASES[:1]))
    with pytest.raises(SchemaError, match="is of release v1, and the database of v2: upgrade this process"):
        database.engine()


@pytest.mark.slow
@pytest.mark.parametrize("place", ["file", pytest.param("redis", marks=pytest.mark.server)])
def test_a_migration_that_is_killed(place, tmp_path, request):
    """Whenever the migration is killed, the next one continues it, and no row is migrated twice."""
    name = f"killed-{os.getpid()}"
    url = f"rome+file://{tmp_path}/{name}" if place == "file" else request.getfixturevalue("redis_server").url(name)
    engine = sa.create_engine(url)
    steps.expand(engine, [OLD])
    with engine.begin() as connection:
        for number in range(1, 41):
            connection.exec_driver_sql("INSERT INTO instances VALUES (?, ?, '1x4', NULL)", (number, f"i{number}"))
            connection.exec_driver_sql("INSERT INTO events VALUES (?, ?, 'made')", (number, number))
    steps.expand(engine, RELEASES)
    command = [sys.executable, "-m", "rome_objects.schema", "--url", url, "--scripts", SCRIPTS[0]]
    for batches in (1, 50, None):
        program = subprocess.Popen([*command, "migrate", "--rows", "1"], stdout=subprocess.PIPE, text=True)
        for _ in range(batches or 0):
            program.stdout.readline()
        if batches:
            program.kill()
        program.communicate()
    assert program.returncode == 0
    with engine.connect() as connection:
        progress = state.read(connection).progress
    assert {name: (seen.visited, seen.migrated) for name, seen in progress.items()} == {
        "instances.cores+memory": (40, 40),
        "instances.display_name": (40, 40),
        "events→actions": (40, 39),
    }
    assert rows(engine, "SELECT count(*), sum(cores), sum(memory) FROM instances") == [(40, 40, 160)]
    assert rows(engine, "SELECT count(*) FROM actions") == [(40,)]
    check_database(url)
    engine.dispose()
