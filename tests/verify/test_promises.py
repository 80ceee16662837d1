"""The page of guarantees has the table that the tests check."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from docutils.core import publish_doctree

from rome.verify.isolation import ANOMALIES, GUARANTEED, LEVELS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "promises.rst").read_text(encoding="utf-8")


def test_the_page_is_well_formed() -> None:
    publish_doctree(PAGE, settings_overrides={"report_level": 1, "halt_level": 1})


def test_its_table_is_the_one_that_is_tested() -> None:
    rows = re.findall(r"^(\S.*?)" + 3 * r" +(prevented|happens)" + "$", PAGE, re.MULTILINE)
    assert [name for name, *_ in rows] == [anomaly.name for anomaly in ANOMALIES]
    for name, *cells in rows:
        assert cells == ["prevented" if name in GUARANTEED[level] else "happens" for level in LEVELS]


def test_each_failure_has_tests_that_exist() -> None:
    table = PAGE.split(":header-rows: 1")[1].split("``StoreUnavailable`` from a commit")[0]
    failures = table.split("   * - ")[2:]
    assert len(failures) > 20
    for failure in failures:
        named = re.findall(r"``(tests/[\w/]+\.py)::((?:\w+::)*\w+)``", failure)
        assert named, failure
        for path, name in named:
            assert name in _tests_of(ROOT / path), f"{path}::{name}"


def _tests_of(path: Path) -> set[str]:
    """Return the names of the tests of a module, with their class."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.ClassDef):
            names |= {f"{node.name}::{each.name}" for each in node.body if isinstance(each, ast.FunctionDef)}
    return names
