"""The virtual environment of a program under test."""

import os
import shlex
import subprocess
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def make_environment(name: str, requirements: Iterable[str], etc: str | None = None) -> Path:
    """Return the Python of the program's virtual environment, which is created if necessary.

    `etc`: the folder of the environment that the program expects as `etc` in the folder of the packages.
    """
    directory = Path(os.environ.get("ROME_JUDGE_VENV", ROOT / f".venv-judge-{name}"))
    command = shlex.join(["make_venv", str(directory), "-e", ".[demo]", *requirements])
    subprocess.run(["bash", "-euc", f"source scripts/venv.sh; {command}"], cwd=ROOT, check=True)
    link = next(directory.glob("lib/python*/site-packages")) / "etc"
    if etc is not None and not link.is_symlink():
        link.symlink_to(directory.resolve() / etc)
    return directory.resolve() / "bin" / "python"
