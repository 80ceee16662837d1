"""Short histories. (The long ones are run by hand: see `rome.verify.histories`.)"""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

import rome
from rome.errors import InterfaceError
from rome.testing.servers import RedisServer
from rome.verify.histories.__main__ import main
from rome.verify.histories.checker import FORBIDDEN
from rome.verify.histories.history import Outcome
from rome.verify.histories.planted import PLANTED
from rome.verify.histories.records import Log, read_logs
from rome.verify.histories.trial import Trial, run
from rome.verify.histories.worker import WORKLOADS

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("level", FORBIDDEN)
@pytest.mark.parametrize("workload", WORKLOADS)
def test_nothing_is_found_in_memory(workload: str, level: str) -> None:
    report = run(Trial("rome+memory:///histories", workload, level, transactions=400, processes=3))
    assert report.findings == []
    assert report.outcomes[Outcome.COMMITTED] == 400


@pytest.mark.parametrize(
    ("workload", "level"),
    [("append", "READ COMMITTED"), ("append", "SERIALIZABLE"), ("bank", "SNAPSHOT"), ("names", "SNAPSHOT")],
)
def test_nothing_is_found_on_redis(redis_server: RedisServer, workload: str, level: str) -> None:
    url = redis_server.url("histories")
    report = run(Trial(url, workload, level, transactions=400, processes=3))
    assert report.findings == []
    assert report.outcomes[Outcome.COMMITTED] == 400
    connection = rome.connect(url)
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []
    connection.close()


@pytest.mark.parametrize("fault", PLANTED)
def test_each_planted_fault_is_found(fault: str) -> None:
    level = "SERIALIZABLE" if fault == "unguarded" else "SNAPSHOT"
    url = "rome+memory:///planted"
    found = set()
    for seed in range(5):
        found = {each.kind for each in run(Trial(url, "append", level, 400, seed=seed, planted=fault)).findings}
        if found:
            break
    assert found
    if fault == "unguarded":
        assert found <= {"G2", "G2-realtime"}


def test_a_planted_fault_is_found_in_processes(redis_server: RedisServer) -> None:
    assert run(Trial(redis_server.url("planted"), transactions=300, planted="unchecked")).findings


def test_nothing_is_found_when_answers_are_lost() -> None:
    report = run(Trial("rome+memory:///lost", transactions=400, every=1.0))
    assert report.findings == []
    assert report.outcomes[Outcome.UNKNOWN]


@pytest.mark.server
@pytest.mark.parametrize("workload", ["append", "bank"])
def test_nothing_is_found_in_a_storm(workload: str) -> None:
    report = run(Trial("rome+redis://own/history", workload, transactions=500, processes=3, every=0.15))
    assert report.findings == []
    assert report.outcomes[Outcome.COMMITTED] >= 500
    assert report.faults.total()


def test_the_command() -> None:
    arguments = ["rome+memory:///command", "--transactions", "60", "--processes", "2"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert result.output.count("nothing that the level forbids") == 3
    result = CliRunner().invoke(main, [*arguments, "--plant", "lying", "--transactions", "500"])
    assert result.exit_code == 0, result.output
    # What was refused, though it was applied, is read by others; or it was run again, and is there twice.
    assert "G1a" in result.output or "duplicate:" in result.output


def test_a_database_that_is_in_use_is_left_alone(url: str) -> None:
    connection = rome.connect(url)
    connection.execute("CREATE TABLE lists (id INTEGER PRIMARY KEY)")
    connection.commit()
    with pytest.raises(InterfaceError, match="empty"):
        run(Trial(url))
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("lists",)]
    connection.close()


def test_what_a_client_wrote_down_outlives_it(tmp_path: Path) -> None:
    log = Log(tmp_path / "w1")
    log.intends(1, 10, [[1, 5]])
    log.ended(1, Outcome.COMMITTED, 20)
    log.intends(2, 30, [[1, 6]])
    log.close()
    with (tmp_path / "w1").open("ab") as file:
        file.write(b"\x94\x03")  # it was killed while it wrote
    first, second = read_logs([tmp_path / "w1"])
    assert (first.name, first.outcome, first.begin, first.end) == ("w1.1", Outcome.COMMITTED, 10, 20)
    assert (second.name, second.outcome, second.operations) == ("w1.2", Outcome.UNKNOWN, [[1, 6]])
