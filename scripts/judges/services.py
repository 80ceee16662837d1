"""The services whose own database tests judge ROME: what to install, what to run, and what can't pass and why."""

from dataclasses import dataclass, field

COMMON = ("ddt", "fixtures", "oslotest", "stestr", "testresources", "testscenarios", "testtools", "requests-mock")
"""What the tests of services import, and their packages do not ask for."""


@dataclass(frozen=True)
class Service:
    """One release of a service.

    `etc`: the folder of its virtual environment that its tests look for as `etc` beside the packages. `options`: of the
    ROME URL. `keep`: its tests make their tables once in a process, so a test's databases are not dropped after it.
    `first`: a module that its tests want to be imported before any other, because it patches the standard library's.
    `expected`: failing test → the reason why it can't pass.
    """

    requirements: tuple[str, ...]
    suites: tuple[str, ...]
    etc: str
    options: str = ""
    keep: bool = False
    first: str = ""
    expected: dict[str, str] = field(default_factory=dict)


SERVICES = {
    "nova": Service(
        ("nova==34.0.0", "sqlalchemy>=2.0,<2.1", "wsgi-intercept", "gabbi", "openstack-placement", *COMMON),
        ("nova.tests.unit.db.main.test_api", "nova.tests.functional.db", "nova.tests.unit.db"),
        etc="etc",
        first="nova.tests.unit",
        options="foreign_keys=off",  # rows of its tests refer to rows that they do not make
    ),
    "glance": Service(
        ("glance==33.0.0", "sqlalchemy>=2.0,<2.1", "pyuwsgi", *COMMON),
        ("glance.tests.functional.db.test_sqlalchemy",),
        etc="etc/glance",
        keep=True,
    ),
    "glance19": Service(
        ("glance==19.0.4", "sqlalchemy<2", "oslo.db<12", "sqlalchemy-migrate", "setuptools<81", "mock", *COMMON),
        ("glance.tests.unit.v2.test_registry_api",),
        etc="etc/glance",
    ),
}
