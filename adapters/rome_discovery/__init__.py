"""Database API modules for services: their own API, on ROME, chosen by configuration.

    [database]
    backend = rome_discovery.cinder.api     # cinder up to 28; services that load their API through oslo.db's DBAPI

    [DEFAULT]
    data_api = rome_discovery.glance.api    # glance up to 19

    [discovery]
    connection = rome+redis://localhost:6379/cinder

Where a service has its module hard-coded (nova, newer cinder and glance), importing the discovery module is enough:
one line at the end of the service's module, `import rome_discovery.nova.api`.

`rome_discovery.port` ports other services; `rome_discovery.options` has the options of `[discovery]`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

MODULES = ("rome_discovery.cinder.api", "rome_discovery.glance.api", "rome_discovery.nova.api")
"""The discovery modules that come with ROME."""


class _WrongName:
    """The last of the import system's finders: says what can be configured where a name is wrong."""

    @staticmethod
    def find_spec(
        fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.startswith("rome_discovery."):
            raise ModuleNotFoundError(
                f"there is no {fullname}: the service's option that names its database API ([database] backend, "
                f"data_api) takes one of {', '.join(MODULES)}, or a module that you wrote with rome_discovery.port",
                name=fullname,
            )
        return None


sys.meta_path.append(_WrongName)
