"""The virtual environment in which a service is judged."""

import os
import shlex
import subprocess
from pathlib import Path

from services import Service

ROOT = Path(__file__).resolve().parent.parent.parent


def make_environment(name: str, service: Service) -> Path:
    """The Python of the service's virtual environment, made if it is not there."""
    directory = Path(os.environ.get("ROME_JUDGE_VENV", ROOT / f".venv-judge-{name}"))
    command = shlex.join(["make_venv", str(directory), "-e", ".[demo]", *service.requirements])
    subprocess.run(["bash", "-euc", f"source scripts/venv.sh; {command}"], cwd=ROOT, check=True)
    etc = next(directory.glob("lib/python*/site-packages")) / "etc"
    if not etc.is_symlink():
        etc.symlink_to(directory.resolve() / service.etc)
    return directory.resolve() / "bin" / "python"
