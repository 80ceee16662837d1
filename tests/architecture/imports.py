"""The modules of ROME and what each imports, read from their source."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from tests.sources import modules_of

Graph = dict[str, set[str]]


@dataclass
class Imports:
    """The imports among a package's modules: on loading or for type checkers, and those inside functions."""

    at_top: Graph = field(default_factory=lambda: defaultdict(set))
    inside_functions: Graph = field(default_factory=lambda: defaultdict(set))


@cache
def find_modules() -> dict[str, Path]:
    """Return the modules of ROME by their dotted names."""
    found = {}
    for name, path in modules_of("rome"):
        parts = name.removesuffix(".py").split("/")
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def read_imports() -> Imports:
    """Return which modules each module imports. Importing a name that a package defines is importing the package."""
    modules = find_modules()
    imports = Imports()
    for module, path in modules.items():
        for imported, is_inside in _imported(ast.parse(path.read_text())):
            for name in _resolve(imported, modules):
                if name != module:
                    (imports.inside_functions if is_inside else imports.at_top)[module].add(name)
    return imports


def _imported(node: ast.AST, is_inside: bool = False) -> Iterator[tuple[list[str], bool]]:
    """Yield each import's candidates, most specific first, and True if it is inside a function."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield [alias.name], is_inside
        elif isinstance(child, ast.ImportFrom):
            assert not child.level, "imports are absolute"
            for alias in child.names:
                yield [f"{child.module}.{alias.name}", str(child.module)], is_inside
        else:
            yield from _imported(child, is_inside or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef))


def _resolve(candidates: list[str], modules: dict[str, Path]) -> list[str]:
    return [name for name in candidates if name in modules][:1]


def find_circles(graph: Graph) -> list[set[str]]:
    """Return the groups of modules that import each other, directly or through others (Tarjan's algorithm)."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    circles = []

    def visit(module: str) -> None:
        order[module] = lowest[module] = len(order)
        stack.append(module)
        for imported in sorted(graph.get(module, ())):
            if imported not in order:
                visit(imported)
                lowest[module] = min(lowest[module], lowest[imported])
            elif imported in stack:
                lowest[module] = min(lowest[module], order[imported])
        if lowest[module] == order[module]:
            place = stack.index(module)
            group = set(stack[place:])
            del stack[place:]
            if len(group) > 1:
                circles.append(group)

    for module in sorted(graph):
        if module not in order:
            visit(module)
    return circles


def find_classes() -> dict[str, list[str]]:
    """Return the modules that define each class name."""
    found = defaultdict(list)
    for module, path in find_modules().items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                found[node.name].append(module)
    return dict(found)
