"""The virtual environment of a service under test."""

import os
import shlex
import subprocess
from pathlib import Path

from services import Service

ROOT = Path(__file__).resolve().parent.parent.parent


def make_environment(name: str, service: Service) -> Path:
    """Return the Python of the service's virtual environment, which is created if necessary."""
    directory = Path(os.environ.get("ROME_JUDGE_VENV", ROOT / f".venv-judge-{name}"))
    command = shlex.join(["make_venv", str(directory), "-e", ".[demo]", *service.requirements])
    subprocess.run(["bash", "-euc", f"source scripts/venv.sh; {command}"], cwd=ROOT, check=True)
    etc = next(directory.glob("lib/python*/site-packages")) / "etc"
    if not etc.is_symlink():
        etc.symlink_to(directory.resolve() / service.etc)
    return directory.resolve() / "bin" / "python"
