"""Each statement of the golden files has the predicates, the plan and the rows that are written there."""

import pytest

from tests.golden.files import Case, find_themes
from tests.golden.run import run_case

THEMES = find_themes()


@pytest.mark.parametrize(
    ("schema", "case"),
    [
        pytest.param(theme.schema, case, id=f"{theme.path.stem}: {case.name}")
        for theme in THEMES
        for case in theme.cases
    ],
)
def test_golden(schema: str, case: Case) -> None:
    assert "\n".join(run_case(schema, case)) == "\n".join(case.expected)
