"""Arguments with which each command runs on a file, for tests over all commands."""

FILE = "FILE"
"""Stands for a path in the arguments below."""

COMMANDS = {
    "bench": (FILE, "--repeat", "1"),
    "check": (FILE,),
    "console": (FILE, "--port", "0"),
    "copy": (FILE, "other.rome"),
    "demo": ("--url", "rome+file:///FILE"),
    "doctor": (FILE,),
    "dump": (FILE, "out.dump"),
    "explain": (FILE, "SELECT 1"),
    "keys": (FILE, "t"),
    "load": (FILE, "other.rome"),
    "locks": (FILE,),
    "purge": (FILE, "t", "--before", "2026-01-01"),
    "shell": (FILE, "-c", "SELECT * FROM t"),
    "tables": (FILE,),
    "top": (FILE, "--seconds", "0"),
    "upgrade": (FILE,),
    "watch": (FILE,),
}

CREATE = {"bench", "demo", "shell"}
"""The commands that create the file if it does not exist."""


def arguments_of(name, path):
    """Return the arguments of a command on a file."""
    return [each.replace(FILE, str(path)) for each in COMMANDS[name]]
