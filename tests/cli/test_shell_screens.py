"""The screens in docs/command/shell.rst are those of `rome shell` in a terminal."""

import re
from pathlib import Path
from textwrap import dedent

import pytest

from tests.cli.terminal import Terminal

PAGE = Path(__file__).parents[2] / "docs/command/shell.rst"
SCREENS = dict(
    re.findall(r"^\.\. screen: (\w+)\n\n::\n\n((?:    .*\n|\n)+)", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
)
TOWNS = "CREATE TABLE towns (id INTEGER PRIMARY KEY, name, note);"
ROWS = "INSERT INTO towns (name, note) VALUES ('Roma', 'caput mundi'), ('Ostia', NULL);"
ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c;"

# By the name of a screen: the columns of the terminal, and what is typed, each with what is waited for.
TYPED = {
    "rows": (
        72,
        [(f"{TOWNS}\r", "\nrome>"), (f"{ROWS}\r", "2 rows changed"), ("SELECT name\rFROM towns;\r", "(2 rows)")],
    ),
    "completion": (72, [(f"{TOWNS}\r", "\nrome>"), ("SELECT * FROM towns WHERE no\t", "NOTNULL")]),
    "error": (
        72,
        [
            ("BEGIN;\r", "rome*>"),
            ("SELECT * FROM town;\r", "no such table"),
            (".mod csv\r", ".help"),
            ("COMMIT;\r", "\nrome>"),
        ],
    ),
    "narrow": (
        40,
        [
            ("SELECT 1 AS id, 'a text that does not fit the terminal' AS note;\r", "(1 row)"),
            ("SELECT 1 AS first_one, 2 AS second_one, 3 AS third_one, 4 AS fourth_one, 5 AS fifth_one;\r", "row 1"),
        ],
    ),
    "cancel": (72, [("BEGIN;\r", "rome*>"), (f"{ENDLESS}\r", "FROM c;"), ("\x03", "cancelled")]),
}

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", TYPED)
def test_screen(name, tmp_path):
    columns, typed = TYPED[name]
    terminal = Terminal(["shell"], columns, 40, ROME_HISTORY=str(tmp_path / "history"), ROME_URL="")
    terminal.wait("rome>")
    for keys, expected in typed:
        terminal.send(keys)
        terminal.wait(expected)
    terminal.wait(
        lambda text: re.search(r"\nrome\*?>( SELECT \* FROM towns WHERE no\n(.*\n)*.*NOTNULL)?$", text) is not None
    )
    shown = terminal.text[terminal.text.index("rome>") :].strip()  # without the greeting
    terminal.send("\x15\x04")
    terminal.close()
    assert shown == dedent(SCREENS[name]).strip()


def test_each_screen_is_tested():
    assert SCREENS.keys() == TYPED.keys()
