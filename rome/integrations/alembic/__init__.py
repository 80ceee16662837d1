"""Migrations with Alembic. `rome.integrations.alembic.impl` implements its operations for ROME's dialect.

The entry point `alembic.plugins` names this module, and Alembic imports it in the middle of its own import. So this
module imports nothing of Alembic.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType
from typing import Any


def setup(_plugin: Any) -> None:
    """Register the implementation. Alembic calls this when it loads its plugins."""
    import_module("rome.integrations.alembic.impl")


class _Plugin(ModuleType):
    """A module that is also an iterable of plugin modules, of which it is the only one.

    Alembic 1.18 and 1.19 iterate over the object that an entry point names; later versions use it as the module.
    """

    def __iter__(self) -> Iterator[ModuleType]:
        yield self


sys.modules[__name__].__class__ = _Plugin
