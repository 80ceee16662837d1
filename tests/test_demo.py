"""The demonstration runs from a shell on every store, and unmodified on another database."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from examples.control_plane.story import STORY

ROOT = Path(__file__).parents[1]


def run_demo(*arguments, folder=None):
    return subprocess.run(
        [sys.executable, "-m", "examples.control_plane", *arguments],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
    )


def shown(output):
    """Return the results of the steps, without their costs."""
    return re.sub(r"statements: .*", "", output.partition("Cost of each step")[0]).split("\n", 1)[1]


@pytest.fixture(scope="module")
def on_sqlite():
    result = run_demo("--url", "sqlite://")
    assert result.returncode == 0, result.stderr
    return shown(result.stdout)


@pytest.mark.parametrize("store", ["file", "memory", pytest.param("redis", marks=pytest.mark.server)])
def test_results_on_rome_equal_those_on_sqlite(store, on_sqlite, tmp_path):
    result = run_demo("--store", store, folder=tmp_path)
    assert result.returncode == 0, result.stderr
    assert shown(result.stdout).startswith(on_sqlite.rstrip())
    assert "second: Conflict" in result.stdout
    assert "committed at attempt 2" in result.stdout
    assert len(re.findall(r"round trips: \d+", result.stdout)) == len(STORY) + 2


@pytest.mark.slow
def test_the_second_run_finds_the_data_of_the_first(tmp_path):
    assert run_demo(folder=tmp_path).returncode == 0
    again = run_demo(folder=tmp_path)
    assert again.returncode == 0
    assert "The last run's data" in again.stdout
    assert re.search(r"instances\W+[1-9]", again.stdout)
    fresh = run_demo("--fresh", folder=tmp_path)
    assert "Cost of each step" in fresh.stdout


@pytest.mark.slow
def test_tables_are_dropped_only_with_fresh(tmp_path):
    url = f"sqlite:///{tmp_path}/demo.db"
    assert run_demo("--url", url).returncode == 0
    again = run_demo("--url", url)
    assert again.returncode == 1
    assert "--fresh" in again.stderr
    assert run_demo("--url", url, "--fresh").returncode == 0


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("papyrus://", "papyrus"),
        ("rome+memory:///demo?colour=red", "colour"),
        ("rome+redis://127.0.0.1:1/demo", "127.0.0.1"),
    ],
)
def test_wrong_url_is_a_clear_error(url, named):
    result = run_demo("--url", url)
    assert result.returncode == 1
    assert re.fullmatch(rf"Error: .*{named}.*\n", result.stderr)


def test_unknown_store_is_a_clear_error():
    result = run_demo("--store", "papyrus")
    assert result.returncode == 2
    assert "papyrus" in result.stderr
