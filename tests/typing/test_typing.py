"""Type checkers see the types of the public API: mypy, and pyright where it is installed."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import rome
from tests.versions import needs_sqlalchemy_2

ROOT = Path(__file__).parents[2]
FILE = Path(__file__).with_name("public_api.py")

pytestmark = [pytest.mark.slow, needs_sqlalchemy_2]


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def test_mypy() -> None:
    checked = run(sys.executable, "-m", "mypy", "--strict", str(FILE.parent))
    assert checked.returncode == 0, checked.stdout


def test_pyright() -> None:
    if shutil.which("pyright") is None:
        pytest.skip("pyright is not installed")
    checked = run("pyright", "--pythonpath", sys.executable, str(FILE))
    assert checked.returncode == 0, checked.stdout


def test_the_package_says_that_it_is_typed() -> None:
    assert Path(rome.__file__).with_name("py.typed").exists()
