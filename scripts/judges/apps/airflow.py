"""Airflow: a fresh database is migrated, and a scheduler creates, queues and finishes the runs of two DAGs."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

RUNS = 8
LONGEST = 1500
"""Seconds for all runs, on a busy machine."""

DAGS = """
from datetime import datetime

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, task

DAYS = {"schedule": "@daily", "start_date": datetime(2024, 1, 1), "end_date": datetime(2024, 1, 4), "catchup": True}

with DAG("chain", **DAYS):
    first, last = EmptyOperator(task_id="first"), EmptyOperator(task_id="last")
    first >> [EmptyOperator(task_id=f"middle{number}") for number in range(4)] >> last

with DAG("sums", **DAYS):

    @task
    def one(value):
        return value + 1

    @task
    def total(values):
        return sum(values)

    total(one.expand(value=[1, 2, 3]))
"""

ENDED = "SELECT count(*) FROM dag_run WHERE state IN ('success', 'failed')"
TASKS = "SELECT dag_id, task_id, map_index, state, count(*) FROM task_instance GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"


def run(url: str, folder: Path) -> dict[str, Any]:
    """Return what the commands print, and the states of runs and tasks when all runs have ended."""
    (folder / "dags").mkdir()
    (folder / "dags" / "judged.py").write_text(DAGS)
    settings = _settings(url, folder)
    _airflow(settings, "db", "migrate")
    _airflow(settings, "db", "check-migrations")
    _airflow(settings, "variables", "set", "color", "red")
    seen: dict[str, Any] = {"variable": _airflow(settings, "variables", "get", "color").split()[-1]}
    _airflow(settings, "pools", "set", "small", "2", "two at a time")
    engine = sa.create_engine(url)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_process(settings, folder, "api-server"))
        _wait_for_server(int(settings["AIRFLOW__API__PORT"]))  # without it tasks fail
        for program in ("dag-processor", "scheduler"):
            stack.enter_context(_process(settings, folder, program))
        end = time.monotonic() + LONGEST
        while _rows(engine, ENDED) != [[RUNS]] and time.monotonic() < end:
            time.sleep(1)
    seen["runs"] = _rows(engine, "SELECT dag_id, run_id, state FROM dag_run ORDER BY 1, 2")
    seen["tasks"] = _rows(engine, TASKS)
    seen["results"] = _rows(engine, "SELECT value FROM xcom WHERE task_id = 'total' ORDER BY run_id")
    seen["pools"] = _rows(engine, "SELECT pool, slots FROM slot_pool ORDER BY 1")
    seen["tables"] = sorted(sa.inspect(engine).get_table_names())
    engine.dispose()
    return seen


def _settings(url: str, folder: Path) -> dict[str, str]:
    """Return the configuration, as environment variables."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = {
        "API__HOST": "127.0.0.1",
        "API__PORT": port,
        "API__SECRET_KEY": "judge",
        "API__WORKERS": 1,
        "API_AUTH__JWT_SECRET": "0123456789abcdef" * 4,
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": False,
        "CORE__DAGS_FOLDER": folder / "dags",
        "CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "CORE__LOAD_EXAMPLES": False,
        "CORE__PARALLELISM": 4,
        "DATABASE__SQL_ALCHEMY_CONN": url,
        "SCHEDULER__USE_ROW_LEVEL_LOCKING": True,
    }
    return {
        **os.environ,
        "AIRFLOW_HOME": str(folder),
        **{f"AIRFLOW__{name}": str(value) for name, value in options.items()},
    }


def _airflow(settings: dict[str, str], *arguments: str) -> str:
    """Run a command; return what it prints."""
    command = [sys.executable, "-W", "ignore", "-m", "airflow", *arguments]
    done = subprocess.run(command, env=settings, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{arguments}: {done.stdout[-3000:]}{done.stderr[-6000:]}")
    return done.stdout


@contextlib.contextmanager
def _process(settings: dict[str, str], folder: Path, program: str) -> Iterator[None]:
    """Run a program of Airflow. What it prints is shown if it fails."""
    log = folder / f"{program}.log"
    command = [sys.executable, "-W", "ignore", "-m", "airflow", program]
    with log.open("w") as output:
        process = subprocess.Popen(command, env=settings, stdout=output, stderr=output, start_new_session=True)
    yield
    if process.poll() is not None or "Traceback" in log.read_text():
        print(f"{program} ({process.poll()}):\n{log.read_text()[-6000:]}")
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, 15)
    process.wait()


def _wait_for_server(port: int) -> None:
    end = time.monotonic() + LONGEST
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=10):
            return
        time.sleep(0.5)


def _rows(engine: sa.Engine, query: str) -> list[list[Any]]:
    with engine.connect() as connection:
        return [list(row) for row in connection.execute(sa.text(query))]
