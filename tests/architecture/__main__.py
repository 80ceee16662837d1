"""Print the layers, the routes of four statements, and the violations; exit status 1 if there are any."""

import sys

from rome.testing.servers import valkey_server
from tests.architecture.layers import LAYERS
from tests.architecture.routes import BEFORE, LIMITS, Route, measure_in_process
from tests.architecture.rules import RULES


def main() -> int:
    print_layers()
    print_routes()
    violations = [violation for rule in RULES for violation in print_rule(rule.__doc__, list(rule()))]
    return 1 if violations else 0


def print_layers() -> None:
    print("Layers; imports go downwards:")
    for name, purpose in LAYERS:
        print(f"  {name:30} {purpose}")


def print_routes() -> None:
    print("\nRoutes through the code, on Redis: now/limit (before the packages were laid out along the pipeline)")
    with valkey_server() as server:
        routes = measure_in_process(server.url("architecture"))
    print(" " * 26 + "".join(f"{field:>20}" for field in Route._fields))
    for name, route in routes.items():
        numbers = [
            f"{now}/{most} ({before})" for now, most, before in zip(route, LIMITS[name], BEFORE[name], strict=True)
        ]
        print(f"  {name:24}" + "".join(f"{number:>20}" for number in numbers))


def print_rule(summary: str | None, violations: list[str]) -> list[str]:
    print(f"\n{summary}" if violations else f"\n{summary} It holds.")
    for violation in violations:
        print(f"  {violation}")
    return violations


if __name__ == "__main__":
    sys.exit(main())
