"""Which classes a program uses: its own, or others that the configuration names.

    [objects]
    implementation = fleet.memory                 # a module: each class in it replaces the object of its name
    implementation = fleet.memory:Server          # a class: it replaces one object
    implementation = memory                       # an entry point of the group rome_objects.implementations

A program that can be configured so takes its classes from here:

    objects = Implementations("fleet.objects")
    objects.Server.get(context, 7)

An implementation is a subclass of the default, or anything that has the same methods: `rome_objects.testing.suite`
tests that.
"""

from __future__ import annotations

import importlib
from importlib.metadata import entry_points
from typing import Any

from oslo_config import cfg

from rome_objects.options import GROUP, register_opts
from rome_objects.places import load

ENTRY_POINTS = "rome_objects.implementations"


class Implementations:
    """The classes of a module, some of them replaced. They are found when they are first used."""

    def __init__(self, default: str, conf: cfg.ConfigOpts = cfg.CONF) -> None:
        self._default = default
        self._conf = conf

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        register_opts(self._conf)
        found = getattr(importlib.import_module(self._default), name)
        for place in self._conf[GROUP].implementation:
            found = _classes(place).get(name, found)
        setattr(self, name, found)
        return found


def _classes(place: str) -> dict[str, Any]:
    """Return the classes of an implementation, by the name of the object. Raise NotConfigured if there is none."""
    for entry in entry_points(group=ENTRY_POINTS, name=place):
        found = entry.load()
        break
    else:
        found = load("[objects] implementation", place, f", or an entry point of {ENTRY_POINTS}")
    return {found.__name__: found} if isinstance(found, type) else vars(found)
