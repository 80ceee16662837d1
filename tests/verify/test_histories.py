"""Short histories. (Long ones are run by hand, with `python -m rome.verify.histories`.)"""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

import rome
from rome.errors import InterfaceError
from rome.testing.servers import RedisServer
from rome.verify.histories.__main__ import main
from rome.verify.histories.cache_defects import CACHE_DEFECTS
from rome.verify.histories.checker import FORBIDDEN
from rome.verify.histories.defects import DEFECTS
from rome.verify.histories.history import Outcome
from rome.verify.histories.run import RunOptions, run
from rome.verify.histories.worker import WORKLOADS
from rome.verify.histories.workload import Log, read_logs

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("level", FORBIDDEN)
@pytest.mark.parametrize("workload", WORKLOADS)
def test_no_anomalies_in_memory(workload: str, level: str) -> None:
    report = run(RunOptions("rome+memory:///histories", workload, level, transactions=400, processes=3))
    assert report.findings == []
    assert report.outcomes[Outcome.COMMITTED] == 400


@pytest.mark.parametrize(
    ("workload", "level", "options"),
    [
        ("append", "READ COMMITTED", ""),
        ("append", "SERIALIZABLE", ""),
        ("bank", "SNAPSHOT", ""),
        ("names", "SNAPSHOT", ""),
        ("names", "SNAPSHOT", "?constraints=deferred"),
    ],
)
def test_no_anomalies_on_redis(redis_server: RedisServer, workload: str, level: str, options: str) -> None:
    url = redis_server.url("histories") + options
    report = run(RunOptions(url, workload, level, transactions=400, processes=3))
    assert report.findings == []
    assert report.outcomes[Outcome.COMMITTED] == 400
    connection = rome.connect(url)
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []
    connection.close()


@pytest.mark.parametrize("workload", WORKLOADS)
def test_no_anomalies_in_a_file_whose_clients_are_killed(workload: str, tmp_path: Path) -> None:
    options = RunOptions(f"rome+file://{tmp_path}/histories.rome", workload, transactions=300, processes=4, faults=20)
    report = run(options)
    assert report.findings == []
    assert report.faults["client killed"] >= 5


@pytest.mark.parametrize("defect", DEFECTS)
def test_each_defect_is_found(defect: str) -> None:
    level = "SERIALIZABLE" if defect == "no-read-validation" else "SNAPSHOT"
    url = "rome+memory:///defect"
    kinds = set()
    for seed in range(5):
        kinds = {each.kind for each in run(RunOptions(url, "append", level, 400, seed=seed, defect=defect)).findings}
        if kinds:
            break
    assert kinds
    if defect == "no-read-validation":
        assert kinds <= {"G2", "G2-realtime"}


@pytest.mark.parametrize("level", ["SNAPSHOT", "SERIALIZABLE"])
@pytest.mark.parametrize("workload", WORKLOADS)
def test_no_anomalies_of_processes_that_read_behind(redis_server: RedisServer, workload: str, level: str) -> None:
    url = redis_server.url("behind") + "?staleness=0.5"
    assert run(RunOptions(url, workload, level, transactions=300, processes=3)).findings == []


@pytest.mark.parametrize("defect", CACHE_DEFECTS)
def test_each_defect_of_a_cache_is_found(defect: str, tmp_path: Path) -> None:
    url = f"rome+file://{tmp_path}/defect.rome?durability=normal&staleness=0.05"
    for seed in range(5):
        if run(RunOptions(url, "append", transactions=600, seed=seed, defect=defect)).findings:
            return
    raise AssertionError("not found")


def test_a_defect_is_found_in_processes(redis_server: RedisServer) -> None:
    assert run(RunOptions(redis_server.url("defect"), transactions=300, defect="no-validation")).findings


def test_no_anomalies_when_responses_are_lost() -> None:
    report = run(RunOptions("rome+memory:///lost", transactions=400, faults=12))
    assert report.findings == []
    assert report.outcomes[Outcome.UNKNOWN]


# The number of faults decides how long this takes, usually 10 s; the timeout only ends a run that hangs.
@pytest.mark.timeout(600)
@pytest.mark.server
@pytest.mark.parametrize("workload", ["append", "bank"])
def test_no_anomalies_under_faults(workload: str) -> None:
    faults = 14
    report = run(RunOptions("rome+redis://own/history", workload, transactions=500, processes=3, faults=faults))
    assert report.findings == []
    assert report.outcomes[Outcome.COMMITTED] >= 500
    assert report.faults["server killed and restarted"] == report.faults["server out of memory"] == 2
    assert report.faults["client killed"]


@pytest.mark.timeout(600)
@pytest.mark.server
@pytest.mark.parametrize("workload", WORKLOADS)
def test_no_anomalies_on_a_cluster_that_fails_over_and_moves_slots(workload: str) -> None:
    options = RunOptions("rome+redis://a/history?cluster=on", workload, transactions=300, processes=3, faults=9)
    report = run(options)
    assert report.findings == []
    assert report.outcomes[Outcome.COMMITTED] >= 300
    for fault in ("failover", "slot moved at once", "slot moved key by key", "node added, which gets the slot"):
        assert report.faults[f"cluster: {fault}"] == 1


def test_the_command() -> None:
    arguments = ["rome+memory:///command", "--transactions", "60", "--processes", "2"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert result.output.count("none that the level forbids") == 3
    result = CliRunner().invoke(main, [*arguments, "--defect", "false-conflicts", "--transactions", "500"])
    assert result.exit_code == 0, result.output
    # Others read the commit that was reported as a conflict; or its client ran it again, and it is there twice.
    assert "G1a" in result.output or "duplicate:" in result.output


def test_a_database_with_tables_is_refused(url: str) -> None:
    connection = rome.connect(url)
    connection.execute("CREATE TABLE lists (id INTEGER PRIMARY KEY)")
    connection.commit()
    with pytest.raises(InterfaceError, match="empty"):
        run(RunOptions(url))
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("lists",)]
    connection.close()


def test_the_log_of_a_killed_client_is_read(tmp_path: Path) -> None:
    log = Log(tmp_path / "w1")
    log.write_operations(1, 10, [[1, 5]])
    log.write_outcome(1, Outcome.COMMITTED, 20)
    log.write_operations(2, 30, [[1, 6]])
    log.close()
    with (tmp_path / "w1").open("ab") as file:
        file.write(b"\x94\x03")  # killed in the middle of a write
    first, second = read_logs([tmp_path / "w1"])
    assert (first.name, first.outcome, first.begin, first.end) == ("w1.1", Outcome.COMMITTED, 10, 20)
    assert (second.name, second.outcome, second.operations) == ("w1.2", Outcome.UNKNOWN, [[1, 6]])
