"""Every Python example of the README runs."""

import re
from pathlib import Path
from textwrap import dedent

import pytest
from docutils.core import publish_doctree

import rome

ROOT = Path(__file__).parent.parent
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in (*ROOT.glob("*.rst"), *ROOT.glob("docs/**/*.rst")))
README = (ROOT / "README.rst").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^\.\. code-block:: python\n\n((?:    .*\n|\n)+)", README, re.MULTILINE)


@pytest.fixture(autouse=True)
def _empty_database(monkeypatch):
    monkeypatch.setenv("ROME_URL", "rome+memory:///app")
    yield
    rome.drop_database("rome+memory:///app")


@pytest.mark.filterwarnings("ignore:pandas only supports SQLAlchemy")
@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_example_runs(example, capsys):
    exec(compile(dedent(example), "README.rst", "exec", dont_inherit=True), {"__name__": "readme"})
    assert capsys.readouterr().out, "every example prints something"


@pytest.mark.parametrize("name", PAGES)
def test_text_is_well_formed(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    publish_doctree(text, settings_overrides={"report_level": 1, "halt_level": 1})
