"""The Python examples of the README run, and all pages are well-formed."""

import re
from pathlib import Path
from textwrap import dedent

import pytest
from docutils.core import publish_doctree

import rome
from tests.versions import needs_sqlalchemy_2

ROOT = Path(__file__).parent.parent
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in (*ROOT.glob("*.rst"), *ROOT.glob("docs/**/*.rst")))
PLANNER = (ROOT / "docs/architecture/planner.rst").read_text(encoding="utf-8")
README = (ROOT / "README.rst").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^\.\. code-block:: python\n\n((?:    .*\n|\n)+)", README, re.MULTILINE)


@pytest.fixture(autouse=True)
def _empty_database(monkeypatch):
    monkeypatch.setenv("ROME_URL", "rome+memory:///app")
    yield
    rome.drop_database("rome+memory:///app")


@needs_sqlalchemy_2
@pytest.mark.filterwarnings("ignore:pandas only supports SQLAlchemy")
@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_example_runs(example, capsys):
    exec(compile(dedent(example), "README.rst", "exec", dont_inherit=True), {"__name__": "readme"})
    assert capsys.readouterr().out, "every example prints something"


@pytest.mark.parametrize("name", PAGES)
def test_text_is_well_formed(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    publish_doctree(text, settings_overrides={"report_level": 1, "halt_level": 1})


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_to_files(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    links = re.findall(r"`[^`<]+ <([^>]+)>`_", text) + re.findall(r"^\.\. _[^:]+: (\S+)$", text, re.MULTILINE)
    relative = [link for link in links if "://" not in link]
    assert not [link for link in relative if not (ROOT / name).parent.joinpath(link).exists()]


def test_plans_of_the_planner_page_are_those_of_the_planner():
    schema, *plans = re.findall(r"(?:^After(?:, one round)?|tables)::\n\n((?:    .*\n|\n)+)", PLANNER, re.MULTILINE)
    connection = rome.connect("rome+memory:///app")
    for statement in schema.split(";")[:-1]:
        connection.execute(statement)
    connection.commit()
    assert len(plans) > 5
    for block in plans:
        statement, plan = dedent(block).strip().split("\n\n", 1)
        explained = connection.execute(f"EXPLAIN PLAN FOR {statement}", ("a",) * statement.count("?")).fetchall()
        assert [line for (line,) in explained] == dedent(plan).splitlines(), statement
