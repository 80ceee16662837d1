"""What was made of texts, kept for when it is wanted again: those used last."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from typing import Generic, TypeVar

from rome.sql.analysis.dependencies import Definitions

Made = TypeVar("Made")

MOST_TEXTS = 2000
_MOST_OF_A_TEXT = 4
"""Under so many different definitions. A migration leads through many, of which few come again."""


class DefinitionCache(Generic[Made]):
    """What was made of texts under definitions, of all databases, at any catalog version, in this process."""

    def __init__(self) -> None:
        self._made: OrderedDict[str, list[tuple[Definitions, Made]]] = OrderedDict()
        self._renew_lock()
        os.register_at_fork(after_in_child=self._renew_lock)  # another thread may have held it

    def _renew_lock(self) -> None:
        self._lock = threading.Lock()

    def get(self, text: str, about: Definitions) -> Made | None:
        """What was made of a text under the same definitions; None if it is not known."""
        with self._lock:
            found = self._made.get(text)
            if found is None:
                return None
            self._made.move_to_end(text)
            found = list(found)
        return next((made for definitions, made in found if definitions == about), None)

    def keep(self, text: str, about: Definitions, made: Made) -> None:
        """Remember what was made; what was made before under the same definitions is forgotten."""
        with self._lock:
            others = [each for each in self._made.pop(text, ()) if each[0] != about]
            self._made[text] = [(about, made), *others[: _MOST_OF_A_TEXT - 1]]
            while len(self._made) > MOST_TEXTS:
                self._made.popitem(last=False)
