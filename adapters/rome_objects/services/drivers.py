"""A driver: what executes for a manager, as an object or as a module with functions.

class Driver(abc.ABC):                    # what the manager needs
    @abc.abstractmethod
    def power_on(self, name): ...

[service]
driver = fleet.libvirt                    # a module with a class that derives from it, or with these functions
driver = fleet.fake:FakeDriver            # a class: derived from it, or with these methods
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from rome_objects.errors import NotConfigured
from rome_objects.places import load, subclasses_in


def load_driver(option: str, place: str, base: type, *arguments: Any) -> Any:
    """Return the driver that an option names: an instance of a class, or a module.

    A class is called with `arguments`. `base` has the abstract methods of a driver; if it is `object`, a module is the
    driver itself. Raise NotConfigured if there is no such driver, or if it lacks one of these methods.
    """
    found = load(option, place)
    if isinstance(found, ModuleType) and base is not object:
        classes = subclasses_in(found, base)
        if len(classes) > 1:
            names = ", ".join(each.__name__ for each in classes)
            raise NotConfigured(reason=f"{option} = {place}: the module has several drivers, {names}: name one")
        found = classes[0] if classes else found
    required: frozenset[str] = getattr(base, "__abstractmethods__", frozenset())
    lacking = sorted(name for name in required if getattr(found, name, None) in (None, getattr(base, name)))
    if lacking:
        raise NotConfigured(reason=f"{option} = {place}: the driver lacks {', '.join(lacking)}")
    return found(*arguments) if isinstance(found, type) else found
