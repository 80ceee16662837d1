"""The events in the life of the cloud, in order. Each step is one line of the transcript.

    v1 is started · expand · upgrade to v2, process by process, with kills · back to v1 · to v2 again · contract

Customers work during each step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from examples.fleet.cloud import COMPUTES, NAMES, Cloud, CloudError
from examples.fleet.customers import Customers

PIN = "Instance:1.0"
"""Processes of v2 send this version while some of v1 run."""

ORDER = (("conductor",), ("scheduler",), *((name,) for name in COMPUTES), ("api",))
"""The order of an upgrade: the conductor first, because it serves the objects of both releases."""

SHORT_ORDER = (("conductor",), ("scheduler", *COMPUTES), ("api",))
"""The same in fewer steps."""


@dataclass
class Story:
    """The steps, and what customers saw in each. `count` is how many instances a customer makes in a step."""

    cloud: Cloud
    customers: Customers
    print: Callable[[str], None]
    count: int
    migrated: list[str] = field(default_factory=list)
    failed: bool = False

    def tell(self, short: bool) -> None:
        """Tell the story. The short one has fewer steps, and does not go back to v1."""
        order = SHORT_ORDER if short else ORDER
        for name in NAMES:
            self.cloud.start(name, "v1")
        self.cloud.wait(*NAMES)
        self._step("v1 runs", lambda: None, self.count * 3)
        self._step("rome-schema expand", lambda: self._schema("v2", "expand"))
        self._forth(order, victims=("conductor", "compute-1"))
        self._step("rome-schema migrate", self._migrate)
        if not short:
            self._back(order)
            self._step("rome-schema contract is refused: v1 runs", self._is_refused)
            self._forth(order)
        self._step("rome-schema contract", lambda: self._schema("v2", "contract"))
        self._step("v2 runs", lambda: None)
        found = self.customers.check_all()
        hosts = ", ".join(sorted(self.customers.hosts()))
        self.print(f"{found} instances, all active, each built once, on {hosts}")

    def _forth(self, order: Sequence[Sequence[str]], victims: Sequence[str] = ()) -> None:
        """Upgrade all processes to v2. New ones send old versions until the last old one has stopped."""
        for names in order:
            self._replace(names, "v2", PIN)
            for name in victims:
                if name in names:
                    self._step(f"SIGKILL {name}", partial(self.cloud.kill, name))
        self._replace(("scheduler", "api"), "v2")

    def _back(self, order: Sequence[Sequence[str]]) -> None:
        """Return all processes to v1, in the opposite order."""
        self._replace(("scheduler", "api"), "v2", PIN)
        for names in reversed(order):
            self._replace(names, "v1")

    def _replace(self, names: Sequence[str], release: str, pin: str = "") -> None:
        title = f"{', '.join(names)} → {release}" + (f", sends {pin}" if pin else "")
        self._step(title, partial(self.cloud.replace, names, release, pin))

    def _step(self, title: str, action: Callable[[], object], count: int | None = None) -> None:
        """Take an action while customers work, and print what they saw."""
        before = len(self.customers.errors)
        with self.customers.working(self.count if count is None else count):
            action()
        errors = self.customers.errors[before:]
        self.print(f"{title}: {len(errors)} errors")
        for error in errors[:3]:
            self.print(f"    {error}")
        self.failed = self.failed or bool(errors)

    def _schema(self, release: str, command: str, *arguments: str) -> str:
        done = self.cloud.schema(release, command, *arguments)
        if done.returncode:
            raise CloudError(f"rome-schema {command}: {done.stderr}")
        return done.stdout

    def _migrate(self) -> None:
        self.migrated = [line for line in self._schema("v2", "migrate", "--rows", "10").splitlines() if "done" in line]

    def _is_refused(self) -> None:
        done = self.cloud.schema("v2", "contract")
        if done.returncode != 1 or "has release v1" not in done.stderr:
            raise CloudError(f"contract was not refused: {done.stdout}{done.stderr}")
