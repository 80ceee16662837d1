"""The rules of the architecture. Each returns its violations, a sentence each."""

from __future__ import annotations

import importlib
import re
from collections import Counter
from collections.abc import Callable, Iterator
from configparser import ConfigParser
from typing import Any

from tests.architecture import exceptions
from tests.architecture.imports import find_circles, find_classes, find_modules, read_imports
from tests.architecture.layers import LAYERS, layer_of
from tests.sources import ROOT, modules_of, place_of

MODULES_PER_FOLDER = 20

_DOTTED = re.compile(r"\brome(?:\.[A-Za-z_]\w*)+")
_LOCKS = r"threading\.(?:Lock|RLock|Condition|Semaphore|BoundedSemaphore)\(\)"
_HOMES = {
    "rome/forks.py": (rf"\b(?:{_LOCKS}|register_at_fork\()", "a child would wait for a lock that it does not know"),
    "rome/values.py": (r"""["'](?:CLOB|FLOA|DOUB)["']""", "it knows the affinities of types"),
    "rome/folding.py": (r"\bstr\.(?:lower|upper|casefold)\b|\.casefold\(", "it folds names as SQLite does"),
    "rome/storage/keys.py": (r"^def (?:encode|entry|prefix_end)\(", "it builds keys"),
    "rome/transaction/constraints/table_keys.py": (r"def \w*orphan", "it finds orphans"),
}
"""The only module where a pattern occurs, and why it is the only one."""

_PATH = re.compile(r"(?<![\w/.-])(?:\.\./)*((?:rome|tests|adapters|benchmarks|scripts|examples)/[\w/.-]*\w)")


def circles() -> Iterator[str]:
    """No circle of modules: imports on loading and those for type checkers."""
    for circle in find_circles(read_imports().at_top):
        yield f"circle: {', '.join(sorted(circle))}"


def upward_imports() -> Iterator[str]:
    """Imports only downwards between layers; each module is in a layer."""
    places = {module: layer_of(module) for module in find_modules()}
    for module, place in places.items():
        if place is None:
            yield f"{module} is in no layer of layers.py"
    for place, (name, _) in enumerate(LAYERS):
        if place not in places.values():
            yield f"no module is in the layer {name}"
    for module, imported in sorted(_edges(read_imports().at_top)):
        own, other = places[module], places[imported]
        if own is not None and other is not None and own > other:
            yield f"{module} imports {imported} from a layer above it"


def imports_inside_functions() -> Iterator[str]:
    """Imports inside functions only where exceptions.py gives a reason."""
    found = set(_edges(read_imports().inside_functions))
    for module, imported in sorted(found - exceptions.IMPORTS_INSIDE_FUNCTIONS.keys()):
        yield f"{module} imports {imported} inside a function, and exceptions.py gives no reason"
    for module, imported in sorted(exceptions.IMPORTS_INSIDE_FUNCTIONS.keys() - found):
        yield f"{module} no longer imports {imported} inside a function, remove it from exceptions.py"


def crowded_folders() -> Iterator[str]:
    """No folder with more than 20 modules."""
    counts = Counter(name.rpartition("/")[0] for name, _ in modules_of("rome"))
    for folder, count in counts.items():
        if count > MODULES_PER_FOLDER:
            yield f"{folder} has {count} modules; {MODULES_PER_FOLDER} is the limit"


def class_names() -> Iterator[str]:
    """No class name defined twice, except where exceptions.py gives a reason."""
    twice = {name: modules for name, modules in find_classes().items() if len(modules) > 1}
    for name, modules in sorted(twice.items()):
        if name not in exceptions.CLASSES_OF_ONE_NAME:
            yield f"class {name} is defined in {' and '.join(modules)}"
    for name in sorted(exceptions.CLASSES_OF_ONE_NAME.keys() - twice.keys()):
        yield f"class {name} is defined once, remove it from exceptions.py"


def one_home() -> Iterator[str]:
    """Each decision that must be the same everywhere is in one module."""
    for home, (pattern, reason) in _HOMES.items():
        for name, path in modules_of():
            for found in re.findall(pattern, path.read_text(), re.MULTILINE) if name != home else ():
                yield f"{name} has {found}; use {home}: {reason}"


def documented_names() -> Iterator[str]:
    """Every dotted name and every path in docs/architecture and in CONTRIBUTING exists."""
    ignored = _entry_point_groups() | exceptions.PLACEHOLDERS.keys()
    for page in [*sorted(ROOT.glob("docs/architecture/*.rst")), *ROOT.glob("CONTRIBUTING.rst")]:
        text = page.read_text()
        where = page.relative_to(ROOT)
        for name in sorted(set(_DOTTED.findall(text)) - ignored):
            if not exists(name):
                yield f"{where}: there is no {name}"
        for path in sorted(set(_PATH.findall(text)) - ignored):
            if not place_of(path).exists():
                yield f"{where}: there is no file {path}"


def _edges(graph: dict[str, set[str]]) -> Iterator[tuple[str, str]]:
    for module, imported in graph.items():
        for name in imported:
            yield module, name


def _entry_point_groups() -> set[str]:
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    return set(config["options.entry_points"]) | {"rome.slow"}  # and the logger of slow statements


def exists(name: str) -> bool:
    """Return True if a dotted name is a module or what a chain of attributes of a module leads to."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            if part in getattr(found, "__annotations__", ()):
                return True  # a field without a default
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


RULES: tuple[Callable[[], Iterator[str]], ...] = (
    circles,
    upward_imports,
    imports_inside_functions,
    crowded_folders,
    class_names,
    one_home,
    documented_names,
)
