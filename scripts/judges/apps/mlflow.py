"""MLflow: a tracking server, clients of it at once, and the commands for its database."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import mlflow
import sqlalchemy as sa
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

RUNS = 24
CLIENTS = 4
ENVIRONMENT = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


def run(url: str, folder: Path) -> dict[str, Any]:
    """Return what clients of the server see, before and after it is started again on an upgraded database."""
    with _server(url, folder) as address:
        client = MlflowClient(address)
        seen = {**_runs(client), **_models(client)}
    seen["upgrade"] = _command(folder, "db", "upgrade", url)
    with _server(url, folder) as address:
        client = MlflowClient(address)
        experiment = client.get_experiment_by_name("judge").experiment_id
        seen["runs again"] = len(client.search_runs([experiment]))
        client.delete_experiment(experiment)
        client.rename_experiment(client.create_experiment("other"), "renamed")
        seen["experiments"] = sorted(each.name for each in client.search_experiments())
        seen["collected"] = _command(folder, "gc", "--backend-store-uri", url, "--tracking-uri", address)
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        counts = "SELECT (SELECT count(*) FROM runs), (SELECT count(*) FROM metrics), (SELECT count(*) FROM params)"
        seen["left"] = list(connection.execute(sa.text(counts)).one())
        seen["revision"] = list(connection.scalars(sa.text("SELECT version_num FROM alembic_version")))
    seen["tables"] = sorted(sa.inspect(engine).get_table_names())
    engine.dispose()
    return seen


def _runs(client: MlflowClient) -> dict[str, Any]:
    experiment = client.create_experiment("judge", tags={"team": "red"})

    def log(number: int) -> str:
        made = client.create_run(experiment, run_name=f"run{number}", tags={"parity": str(number % 2)})
        key = made.info.run_id
        client.log_batch(
            key,
            metrics=[Metric("loss", 1 / (1 + step + number), 1000 * step, step) for step in range(10)],
            params=[Param("rate", str(number / 10)), Param("depth", str(number % 3))],
            tags=[RunTag("note", f"note {number}")],
        )
        client.log_metric(key, "accuracy", number / RUNS)
        client.set_terminated(key, "FINISHED" if number % 5 else "FAILED")
        return key

    with ThreadPoolExecutor(CLIENTS) as pool:
        keys = list(pool.map(log, range(RUNS)))
    client.delete_run(keys[0])
    client.delete_run(keys[1])
    client.restore_run(keys[1])

    def found(condition: str, order: list[str], most: int = 5) -> list[str]:
        return [each.info.run_name for each in client.search_runs([experiment], condition, 1, most, order)]

    pages, token = [], None
    while token != "":
        page = client.search_runs([experiment], max_results=7, order_by=["metrics.accuracy ASC"], page_token=token)
        pages.append([each.info.run_name for each in page])
        token = page.token or ""
    return {
        "best": found("metrics.loss < 0.05", ["metrics.loss ASC"]),
        "filtered": found(
            "params.depth = '1' AND tags.parity = '0' AND status = 'FINISHED'", ["attributes.run_name DESC"]
        ),
        "like": found("tags.note ILIKE 'NOTE 1%' AND metrics.accuracy >= 0.5", ["params.rate DESC"], 50),
        "pages": pages,
        "history": [(each.step, each.value) for each in client.get_metric_history(keys[3], "loss")],
        "params": client.get_run(keys[4]).data.params,
        "deleted": [each.info.run_name for each in client.search_runs([experiment], run_view_type=2)],
    }


def _models(client: MlflowClient) -> dict[str, Any]:
    for name in ("forest", "tree"):
        client.create_registered_model(name, tags={"kind": name}, description=f"a {name}")
        for number in range(3):
            client.create_model_version(name, f"s3://models/{name}/{number}", tags={"n": str(number)})
    client.set_registered_model_alias("forest", "champion", "2")
    client.set_model_version_tag("forest", "3", "stage", "dev")
    client.delete_model_version("forest", "1")
    client.rename_registered_model("tree", "bush")
    seen: dict[str, Any] = {
        "champion": client.get_model_version_by_alias("forest", "champion").version,
        "versions": sorted(each.version for each in client.search_model_versions("name = 'forest'")),
        "tagged": [each.version for each in client.search_model_versions("tags.stage = 'dev'")],
        "models": [(each.name, each.description) for each in client.search_registered_models("name LIKE '%s%'")],
    }
    client.delete_registered_model("bush")
    seen["models then"] = [each.name for each in client.search_registered_models()]
    try:
        client.create_registered_model("forest")
    except mlflow.MlflowException as error:
        seen["exists"] = error.error_code
    return seen


@contextlib.contextmanager
def _server(url: str, folder: Path) -> Iterator[str]:
    """Run a server; yield its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--backend-store-uri", url, "--default-artifact-root", str(folder / "artifacts"), "--workers", "1"]
    command = [sys.executable, "-W", "ignore", "-m", "mlflow", "server", *options, "--port", str(port)]
    log = folder / "server.log"
    with log.open("w") as output:
        server = subprocess.Popen(
            command, cwd=folder, env=ENVIRONMENT, stdout=output, stderr=output, start_new_session=True
        )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{address}/health", server, log)
        yield address
    except BaseException:
        print(log.read_text()[-6000:])
        raise
    finally:
        os.killpg(server.pid, 15)
        server.wait()


def _wait_for(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    while True:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(address, timeout=5).read()
            return
        if server.poll() is not None:
            raise RuntimeError(f"the server has ended: {log.read_text()[-6000:]}")
        time.sleep(0.2)


def _command(folder: Path, *arguments: str) -> str:
    """Run a command of MLflow; return "done"."""
    command = [sys.executable, "-W", "ignore", "-m", "mlflow", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{arguments}: {done.stdout}{done.stderr}")
    return "done"
