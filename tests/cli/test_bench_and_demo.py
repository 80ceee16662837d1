"""`rome bench` and `rome demo`."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import rome
from rome.cli import checkout
from tests.sources import ROOT


def test_bench_of_a_store(run, towns, tmp_path):
    found = {each["operation"]: each for each in run("bench", towns, "--repeat", 3, "--json").json}
    assert found["get by primary key"]["rounds"] == 1
    assert found["update by primary key"]["rounds"] == 2
    assert found["insert of 100 rows"]["median_ms"] > 0
    with rome.connect(towns) as connection:
        assert connection.execute("SELECT count(*) FROM towns").fetchone() == (2,)
    connection.close()
    assert not list(tmp_path.glob("*bench*"))


def test_bench_needs_a_url_or_the_sources(run):
    assert "--compare" in run("bench", code=2).err


def test_demo_outside_of_the_sources(run, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(checkout, "SOURCES", tmp_path)
    assert "part of the installed package" in run("demo", code=1).err
    assert "part of the installed package" in run("bench", "--compare", code=1).err


@pytest.fixture
def run_demo():
    """A function that runs the demonstration in a process of its own, in the folder of the sources."""

    def invoke(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "rome.cli", "demo", "--store", "memory", *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
            env={"PYTHONPATH": str(Path(rome.__file__).parents[1]), "PATH": "/usr/bin:/bin"},
        )

    return invoke


def test_demo(run_demo):
    ended = run_demo()
    assert ended.returncode == 0, ended.stderr
    assert "Cost of each step" in ended.stdout


def test_demo_as_json(run_demo):
    """Each step has its result, its statements and its round trips."""
    ended = run_demo("--json")
    found = json.loads(ended.stdout)
    assert (ended.returncode, ended.stderr, found["url"]) == (0, "", "rome+memory:///demo")
    by_step = {each["step"]: each for each in found["steps"]}
    assert by_step["A service reports again"] == {
        "step": "A service reports again",
        "result": "compute on node-1: report 2",
        "statements": 2,
        "rounds": 2,
    }
    assert [each["project"] for each in by_step["Compute the usage by project"]["result"]] == ["acme", "globex"]


def test_errors_of_the_demo_are_errors_of_the_command(run_demo):
    for arguments, code, kind in ((("--store", "papyrus"), 2, "UsageError"), (("--url", "papyrus://"), 1, "Error")):
        ended = run_demo(*arguments)
        assert ended.returncode == code
        assert re.search(r"^Error: .*papyrus.*$", ended.stderr, re.MULTILINE)
        ended = run_demo(*arguments, "--json")
        assert (ended.returncode, ended.stdout) == (code, "")
        error = json.loads(ended.stderr)["error"]
        assert error["type"] == kind
        assert "papyrus" in error["message"]


def test_demo_in_another_folder(tmp_path):
    """A package that is used from the sources finds them wherever it runs."""
    command = [sys.executable, "-m", "rome.cli", "demo", "--store", "memory"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    installed = not (ROOT / "rome").exists()
    assert ("Cost of each step" in ended.stdout) != installed
    assert ("unpack the sdist" in ended.stderr) == installed


def test_comparison_as_json(run, monkeypatch, tmp_path):
    """The comparison itself takes minutes, so another program stands in for it."""
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "__init__.py").touch()
    (tmp_path / "benchmarks" / "bench.py").write_text(
        "import sys; print('measuring'); open(sys.argv[sys.argv.index('--json') + 1], 'w').write('{\"cases\": []}')"
    )
    monkeypatch.setattr(checkout, "SOURCES", tmp_path)
    monkeypatch.chdir(tmp_path)
    assert run("bench", "--compare", "--json").json == {"cases": []}
