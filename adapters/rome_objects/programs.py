"""The start of a command that is installed with ROME, although the packages that it needs come with an extra."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module


def run(name: str, module: str, arguments: Sequence[str] | None) -> int:
    """Call `run` of a module with arguments, those of this process by default. Return the exit status."""
    # oslo.service, which oslo.messaging imports, says so on stderr. These commands do not use eventlet.
    warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")
    try:
        program = import_module(module)
    except ModuleNotFoundError as error:
        print(f"{name} needs the package {error.name}: pip install 'rome-db[objects]'", file=sys.stderr)  # noqa: T201
        return 1
    status: int = program.run(sys.argv[1:] if arguments is None else arguments)
    return status
