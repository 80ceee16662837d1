"""The pages in docs/command: every command and option is described, and examples have the output that they show."""

import re
from pathlib import Path
from shlex import split
from textwrap import dedent

import click
import pytest
from click.shell_completion import ShellComplete

from rome.cli.main import main
from tests.cli.commands import COMMANDS

PAGES = Path(__file__).parents[2] / "docs/command"
TEXT = "\n".join(page.read_text(encoding="utf-8") for page in PAGES.glob("*.rst"))
EXAMPLE = re.compile(r"^    \$ rome (.*)\n((?:    .*\n)+)", re.MULTILINE)
EXAMPLES = EXAMPLE.findall((PAGES / "inspect.rst").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", main.list_commands(None))
def test_command_and_its_options_are_described(name):
    synopsis = re.search(rf"^    rome {name} .*$", TEXT, re.MULTILINE)
    assert synopsis, f"no page has the synopsis of rome {name}"
    command = main.get_command(None, name)
    assert isinstance(command, click.Command)
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert any(option in synopsis.group() for option in parameter.opts), parameter.opts
    assert f"rome {name}" in (PAGES / "index.rst").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", main.list_commands(None))
def test_command_has_help_and_json(run, name):
    text = run(name, "--help").out
    assert text.startswith(f"Usage: main {name} ")
    assert "--json" in text
    assert run(name, "-h").out == text


def test_all_commands_are_tested_with_wrong_input():
    assert list(COMMANDS) == main.list_commands(None)


@pytest.mark.parametrize(("command", "output"), EXAMPLES)
def test_example_has_its_output(run, towns, command, output):
    arguments = [towns if each.startswith("rome+") else each for each in split(command)]
    assert run(*arguments).out == dedent(output)


@pytest.mark.parametrize(
    ("arguments", "incomplete", "expected"),
    [
        ([], "ta", {"tables"}),
        ([], "d", {"demo", "doctor", "dump"}),
        (["copy"], "--r", {"--resume"}),
        (["tables"], "rome+u", {"rome+unix:///"}),
        (["shell", "--mode"], "c", {"csv"}),
    ],
)
def test_completion_in_the_users_shell(arguments, incomplete, expected):
    completion = ShellComplete(main, {}, "rome", "_ROME_COMPLETE")
    assert {found.value for found in completion.get_completions(arguments, incomplete)} == expected
