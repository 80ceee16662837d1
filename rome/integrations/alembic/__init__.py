"""Migrations with Alembic. `rome.integrations.alembic.impl` is the implementation of its operations for ROME's dialect.

This module is what the entry point `alembic.plugins` names, and Alembic imports it while it is being imported itself.
So nothing of Alembic is imported here, and `import rome.integrations.alembic` costs nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType
from typing import Any


def setup(_plugin: Any) -> None:
    """Called by Alembic when it loads its plugins: register the implementation."""
    import_module("rome.integrations.alembic.impl")


class _Plugin(ModuleType):
    """A module that is also a collection of plugin modules: of itself.

    Alembic 1.18 and 1.19 iterate over what an entry point names, later versions take it as the module.
    """

    def __iter__(self) -> Iterator[ModuleType]:
        yield self


sys.modules[__name__].__class__ = _Plugin
