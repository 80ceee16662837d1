"""`rome bench` and `rome demo`."""

import subprocess
import sys
from pathlib import Path

import rome
from rome.cli import checkout


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
    monkeypatch.setattr(checkout, "SOURCES", tmp_path)
    assert "part of the installed package" in run("demo", code=1).err
    assert "part of the installed package" in run("bench", "--compare", code=1).err


def test_demo(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-m", "rome.cli", "demo", "--store", "memory"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(rome.__file__).parents[1]), "PATH": "/usr/bin:/bin"},
    )
    assert ended.returncode == 0, ended.stderr
    assert "Cost of each step" in ended.stdout
