"""Golden plans: `plans.txt` has statements, each with its read plan.

`python -m tests.sql.test_plans` writes the file again; the diff is the review.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sql.schema import CATALOG, plan_reads

GOLDEN = Path(__file__).with_name("plans.txt")


def blocks() -> Iterator[tuple[str, str]]:
    """Yield each statement or heading, and the indented text below it."""
    for block in GOLDEN.read_text().strip().split("\n\n"):
        lines = block.splitlines()
        under = [line for line in lines if line.startswith("    ")]
        yield "\n".join(lines[: len(lines) - len(under)]), "\n".join(under)


def is_statement(text: str) -> bool:
    return not text.startswith(("--", "=="))


def shown(statement: str) -> str:
    plan = plan_reads(statement, CATALOG)
    text = str(plan) if plan.parsed else "not parsed"
    return "\n".join(f"    {line}" for line in text.splitlines())


@pytest.mark.parametrize(("statement", "plan"), [block for block in blocks() if is_statement(block[0])])
def test_golden(statement: str, plan: str) -> None:
    assert shown(statement) == plan


if __name__ == "__main__":
    texts = [f"{text}\n{shown(text)}" if is_statement(text) else text for text, _ in blocks()]
    GOLDEN.write_text("\n\n".join(texts) + "\n")
