"""The common methods of the instances of both releases, which the program calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from rome_objects.base import Object
from rome_objects.remoting import remotable, safe_to_repeat

Context = Mapping[str, str]


class InstanceBase(Object, abstract=True):
    """A virtual machine. Its state goes from `requested` by `scheduled` and `building` to `active`."""

    uuid: str

    @classmethod
    @remotable
    def request(cls, context: Context, uuid: str, name: str, cores: int, memory: int) -> Self:
        """Create an instance that has no host yet. Raise ConstraintViolated if this uuid exists."""
        instance = cls(context, uuid=uuid, state="requested")
        instance.set_name(name)
        instance.set_size(cores, memory)
        instance.create()
        instance.log("requested")
        return instance

    @remotable
    def advance(self, before: str, after: str, host: str | None = None) -> None:
        """Change the state, in one transaction with a line in the log. Raise StateConflict if it is not `before`."""
        self.state = after
        if host is not None:
            self.host = host
        self.save(expected={"state": before})
        self.log(after)

    @remotable
    @safe_to_repeat
    def change(self, name: str, cores: int, memory: int) -> None:
        """Rename and resize the instance. To repeat it has no effect."""
        self.set_name(name)
        self.set_size(cores, memory)
        self.save()

    @remotable
    @safe_to_repeat
    def describe(self) -> dict[str, Any]:
        """Return what customers see of the instance. It is the same in both releases."""
        self.refresh()
        cores, memory = self.size_pair()
        return {
            "id": self.uuid,
            "name": self.name_text(),
            "cores": cores,
            "memory": memory,
            "state": self.state,
            "host": self.host,
            "log": self.messages(),
        }

    def set_name(self, name: str) -> None:
        """Set the name."""
        raise NotImplementedError

    def name_text(self) -> str:
        """Return the name."""
        raise NotImplementedError

    def set_size(self, cores: int, memory: int) -> None:
        """Set the size."""
        raise NotImplementedError

    def size_pair(self) -> tuple[int, int]:
        """Return the number of cores, and the memory in GiB."""
        raise NotImplementedError

    def log(self, message: str) -> None:
        """Add a line to the log of the instance."""
        raise NotImplementedError

    def messages(self) -> list[str]:
        """Return the log of the instance."""
        raise NotImplementedError
