"""The page of guarantees has the table that the tests check."""

from __future__ import annotations

import re
from pathlib import Path

from docutils.core import publish_doctree

from rome.verify.isolation import ANOMALIES, GUARANTEED, LEVELS

PAGE = (Path(__file__).parents[2] / "docs" / "promises.rst").read_text(encoding="utf-8")


def test_the_page_is_well_formed() -> None:
    publish_doctree(PAGE, settings_overrides={"report_level": 1, "halt_level": 1})


def test_its_table_is_the_one_that_is_tested() -> None:
    rows = re.findall(r"^(\S.*?)" + 3 * r" +(prevented|happens)" + "$", PAGE, re.MULTILINE)
    assert [name for name, *_ in rows] == [anomaly.name for anomaly in ANOMALIES]
    for name, *cells in rows:
        assert cells == ["prevented" if name in GUARANTEED[level] else "happens" for level in LEVELS]
