"""The discovery module for Nova is `rome_discovery.nova.api`."""

from __future__ import annotations

from typing import NoReturn


def __getattr__(name: str) -> NoReturn:
    raise AttributeError(
        f"{__name__} has no {name}: the discovery module, for the service's option, is {__name__}.api", name=name
    )
