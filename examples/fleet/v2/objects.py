"""The objects of the second release: the size is two numbers, and `title` is `display_name`."""

from __future__ import annotations

from typing import Any

from examples.fleet.objects import InstanceBase
from examples.fleet.v2 import models
from rome_objects.base import Object
from rome_objects.lists import ObjectList
from rome_objects.registry import version_tuple


class Instance(InstanceBase):
    """A virtual machine."""

    VERSION = "1.1"
    model = models.InstanceModel
    renamed = {"display_name": ("title", "1.1")}

    def obj_make_compatible(self, primitive: dict[str, Any], target_version: str) -> None:
        """Join the two numbers, for processes of the first release."""
        super().obj_make_compatible(primitive, target_version)
        if version_tuple(target_version) < (1, 1) and "cores" in primitive:
            primitive["size"] = f"{primitive.pop('cores')}x{primitive.pop('memory')}"

    def obj_make_current(self, primitive: dict[str, Any], changes: list[str], version: str) -> None:
        """Split the text, from processes of the first release."""
        super().obj_make_current(primitive, changes, version)
        if version_tuple(version) < (1, 1) and "size" in primitive:
            primitive["cores"], primitive["memory"] = map(int, primitive.pop("size").split("x"))
            if "size" in changes:
                changes[:] = [name for name in changes if name != "size"] + ["cores", "memory"]

    def set_name(self, name: str) -> None:
        """Set the name."""
        self.display_name = name

    def name_text(self) -> str:
        """Return the name."""
        return str(self.display_name)

    def set_size(self, cores: int, memory: int) -> None:
        """Set the size."""
        self.cores, self.memory = cores, memory

    def size_pair(self) -> tuple[int, int]:
        """Return the number of cores, and the memory in GiB."""
        return self.cores, self.memory

    def log(self, message: str) -> None:
        """Add a line to the log of the instance."""
        Action(self._context, instance_uuid=self.uuid, message=message).create()

    def messages(self) -> list[str]:
        """Return the log of the instance."""
        actions = ActionList.list(self._context, filters={"instance_uuid": self.uuid}, sort=["at", "id"])
        return [action.message for action in actions]


class InstanceList(ObjectList, of=Instance):
    """A page of instances."""

    VERSION = "1.1"


class Action(Object):
    """A line in the log of an instance."""

    VERSION = "1.0"
    model = models.ActionModel


class ActionList(ObjectList, of=Action):
    """A page of actions."""

    VERSION = "1.0"
