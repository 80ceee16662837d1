"""ROME's Lua scripts, as commands.

A script is sent in full (EVAL) the first time and by its hash (EVALSHA) from then on: so loading it costs no round
trip. A server that has forgotten it answers NOSCRIPT; then everything is sent in full again.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha1
from importlib.resources import files

Argument = bytes | str | int
Command = tuple[Argument, ...]

NAMES = ("clear", "commit", "copy", "count", "counter", "lock", "rows")


class Scripts:
    """The scripts, and which of them the server is believed to know. Threads share it: a wrong belief costs a round."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def call(self, script: str, keys: Sequence[bytes], *arguments: Argument) -> Command:
        """The command that runs a script."""
        text, digest = _SCRIPTS[script]
        if script in self._known:
            return ("EVALSHA", digest, len(keys), *keys, *arguments)
        self._known.add(script)
        return ("EVAL", text, len(keys), *keys, *arguments)

    def forget(self) -> None:
        """The server may have been restarted, or be another one: send the scripts again."""
        self._known.clear()


def _load(script: str) -> tuple[str, str]:
    """A script's text and the hash that the server knows it by."""
    folder = files(__package__)
    text = "\n".join(folder.joinpath(name + ".lua").read_text(encoding="utf-8") for name in ("common", script))
    return text, sha1(text.encode(), usedforsecurity=False).hexdigest()


_SCRIPTS = {script: _load(script) for script in NAMES}
