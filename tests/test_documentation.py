"""The examples of the README and of the documentation run, and the documentation is built without a warning."""

import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
from docutils.core import publish_doctree

import rome
from tests.sources import ROOT, place_of
from tests.versions import needs_sqlalchemy_2

PAGES = sorted(path.relative_to(ROOT).as_posix() for path in (*ROOT.glob("*.rst"), *ROOT.glob("docs/**/*.rst")))
OF_SPHINX = {"docs/api.rst", "docs/index.rst"}
"""Pages with directives that only Sphinx has."""
NOT_RUN = {
    "docs/services.rst": "the example is a module of a service that is not installed here",
    "docs/objects.rst": "it defines objects, so it runs in a process of its own: tests/adapters/objects/test_page.py",
}
PLANNER = (ROOT / "docs/architecture/planner.rst").read_text(encoding="utf-8")
BLOCK = re.compile(r"^\.\. code-block:: python\n\n((?:    .*\n|\n)+)", re.MULTILINE)


def examples(page: str) -> list[str]:
    """Return the Python examples of a page."""
    return [dedent(block) for block in BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))]


WITH_EXAMPLES = [page for page in PAGES if examples(page) and page not in NOT_RUN]


@pytest.fixture(autouse=True)
def _empty_database(monkeypatch, tmp_path):
    monkeypatch.setenv("ROME_URL", "rome+memory:///app")
    monkeypatch.chdir(tmp_path)
    yield
    rome.drop_database("rome+memory:///app")


@needs_sqlalchemy_2
@pytest.mark.filterwarnings("ignore:pandas only supports SQLAlchemy")
@pytest.mark.parametrize("page", WITH_EXAMPLES)
def test_examples_of_a_page_run_one_after_the_other(page, capsys):
    namespace = {"__name__": "example"}
    for example in examples(page):
        exec(compile(example, page, "exec", dont_inherit=True), namespace)
        assert capsys.readouterr().out, "every example prints something"


@pytest.mark.slow
def test_documentation_is_built_without_a_warning(tmp_path):
    built = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", str(ROOT / "docs"), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    for page in PAGES:
        if page.startswith("docs/"):
            assert (tmp_path / page.removeprefix("docs/")).with_suffix(".html").exists(), page
    assert 'href="command/index.html"' in (tmp_path / "start.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted({*PAGES} - OF_SPHINX))
def test_text_is_well_formed(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    publish_doctree(text, settings_overrides={"report_level": 1, "halt_level": 1})


def test_readme_is_short():
    assert len((ROOT / "README.rst").read_text(encoding="utf-8").splitlines()) < 150


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_to_files(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    links = re.findall(r"`[^`<]+ <([^>]+)>`_", text) + re.findall(r"^\.\. _[^:]+: (\S+)$", text, re.MULTILINE)
    targets = [os.path.normpath(Path(name).parent / link) for link in links if "://" not in link]
    assert not [target for target in targets if not place_of(target).exists()]


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
