"""The nodes of a parser's tree, level by level: an outer one before those within it."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

_LEAVES = frozenset({exp.Column, exp.Identifier, exp.Literal, exp.Placeholder, exp.Star, exp.Null})
"""Nodes within which there is nothing but names and values."""


def walk(root: exp.Expr) -> Iterator[exp.Expr]:
    """The node and all that are within it, but for the names that columns are made of."""
    found = [root]
    for node in found:
        yield node
        if type(node) in _LEAVES:
            continue
        for value in node.args.values():
            if isinstance(value, exp.Expression):
                found.append(value)
            elif isinstance(value, list):
                found += [each for each in value if isinstance(each, exp.Expression)]


class Nodes:
    """The nodes of a statement that its tables are read from."""

    def __init__(self, tree: exp.Expr) -> None:
        self.tree = tree
        self.tables: list[exp.Table] = []
        self.ctes: list[exp.CTE] = []
        self.ins: list[exp.In] = []
        self.blocks: list[exp.Expr] = []
        """SELECT, UPDATE and DELETE."""
        for node in walk(tree):
            if isinstance(node, exp.Table):
                self.tables.append(node)
            elif isinstance(node, exp.CTE):
                self.ctes.append(node)
            elif isinstance(node, exp.In):
                self.ins.append(node)
            elif isinstance(node, (exp.Select, exp.Update, exp.Delete)):
                self.blocks.append(node)
