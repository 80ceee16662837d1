"""The objects of the first release: the size is a text, `2x4`."""

from __future__ import annotations

from examples.fleet.objects import InstanceBase
from examples.fleet.v1 import models
from rome_objects.base import Object
from rome_objects.lists import ObjectList


class Instance(InstanceBase):
    """A virtual machine."""

    VERSION = "1.0"
    model = models.InstanceModel

    def set_name(self, name: str) -> None:
        """Set the name."""
        self.title = name

    def name_text(self) -> str:
        """Return the name."""
        return str(self.title)

    def set_size(self, cores: int, memory: int) -> None:
        """Set the size."""
        self.size = f"{cores}x{memory}"

    def size_pair(self) -> tuple[int, int]:
        """Return the number of cores, and the memory in GiB."""
        cores, memory = self.size.split("x")
        return int(cores), int(memory)

    def log(self, message: str) -> None:
        """Add a line to the log of the instance."""
        Event(self._context, instance_uuid=self.uuid, text=message).create()

    def messages(self) -> list[str]:
        """Return the log of the instance."""
        events = EventList.list(self._context, filters={"instance_uuid": self.uuid}, sort=["at", "id"])
        return [event.text for event in events]


class InstanceList(ObjectList, of=Instance):
    """A page of instances."""

    VERSION = "1.0"


class Event(Object):
    """A line in the log of an instance."""

    VERSION = "1.0"
    model = models.EventModel


class EventList(ObjectList, of=Event):
    """A page of events."""

    VERSION = "1.0"
