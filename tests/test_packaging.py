"""The entry points and packages of setup.cfg."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from configparser import ConfigParser
from importlib import import_module
from pathlib import Path

import pytest

import rome
from tests.sources import ROOT, modules_of


def entry_points():
    setup = ConfigParser(interpolation=None, delimiters=("=",))
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    for group, lines in setup["options.entry_points"].items():
        for line in lines.strip().splitlines():
            name, _, target = line.partition("=")
            yield pytest.param(target.strip(), id=f"{group}: {name.strip()}")


@pytest.mark.parametrize("target", list(entry_points()))
def test_entry_points_exist(target):
    module, _, name = target.partition(":")
    if not module.startswith("rome"):
        pytest.importorskip(module)
    imported = import_module(module)
    assert not name or callable(getattr(imported, name))


def test_every_folder_is_a_package():
    folders = {path.parent for _, path in modules_of()}
    assert not [folder for folder in folders if not (folder / "__init__.py").exists()]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder with a wheel and an sdist, made of a copy of the sources."""
    pytest.importorskip("build")
    if not (ROOT / "rome").exists():
        pytest.skip("the package is not beside the tests: an installed one is tested, and there is nothing to build")
    folder = tmp_path_factory.mktemp("built")
    ignored = shutil.ignore_patterns(".git", ".venv*", "build", "*.egg-info", "__pycache__", "*.rome")
    shutil.copytree(ROOT, folder / "sources", ignore=ignored)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(folder / "sources")]
    subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.mark.slow
def test_the_wheel_has_all_files_of_its_packages(built):
    (wheel,) = built.glob("*.whl")
    there = set(zipfile.ZipFile(wheel).namelist())
    kinds = ("*.py", "*.lua", "*.sample", "*.html", "*.css", "*.js", "*.svg", "py.typed")
    for base in (ROOT, ROOT / "adapters"):
        for package in ("rome", "rome_discovery", "rome_objects"):
            paths = [path for kind in kinds for path in (base / package).rglob(kind)]
            assert not [path for path in paths if path.relative_to(base).as_posix() not in there]


@pytest.mark.slow
def test_the_sdist_has_what_its_tests_need(built):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for folder in ("benchmarks", "docs", "examples", "rome", "scripts", "tests"):
        ours = {path.relative_to(ROOT).as_posix() for path in (ROOT / folder).rglob("*.*") if path.suffix != ".pyc"}
        assert not {name for name in ours if "__pycache__" not in name} - names
    assert {"CHANGELOG.rst", "README.rst", "SECURITY.md", "LICENSE", "setup.py", "setup.cfg", "pyproject.toml"} <= names


@pytest.mark.slow
def test_the_command_runs_from_the_installed_wheel(built, tmp_path):
    (wheel,) = built.glob("*.whl")
    target = tmp_path / "installed"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", str(target), str(wheel)]
    subprocess.run(pip, check=True, capture_output=True)
    environment = {**os.environ, "PYTHONPATH": str(target)}
    script = "CREATE TABLE t (a); SELECT count(*) FROM t"
    for arguments in (["--help"], ["shell", str(tmp_path / "app.rome"), "-c", script]):
        command = [sys.executable, str(target / "bin" / "rome"), *arguments]
        ended = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path)
        assert ended.returncode == 0, ended.stderr
    where = [sys.executable, "-c", "import rome, rome_objects, rome_discovery; print(rome.__file__)"]
    found = subprocess.run(where, capture_output=True, text=True, check=True, env=environment, cwd=tmp_path)
    assert Path(found.stdout.strip()).is_relative_to(target)


def test_the_version_is_in_one_place():
    setup = ConfigParser(interpolation=None, delimiters=("=",))
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    assert setup["metadata"]["version"] == "attr: rome.__version__"
    assert f"{rome.__version__}" in (ROOT / "CHANGELOG.rst").read_text(encoding="utf-8")


def test_the_command_needs_no_package_of_an_extra():
    script = (
        "import sys\n"
        "for name in ('redis', 'hiredis', 'starlette', 'uvicorn', 'jinja2', 'prometheus_client', 'opentelemetry'):\n"
        "    sys.modules[name] = None\n"
        "from rome.cli.main import main\n"
        "main(['--help'])\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "doctor" in ended.stdout
