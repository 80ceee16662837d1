"""Print the layers and the violations; exit status 1 if there are any."""

import sys

from tests.architecture.layers import LAYERS
from tests.architecture.rules import RULES


def main() -> int:
    print("Layers; imports go downwards:")
    for name, purpose in LAYERS:
        print(f"  {name:30} {purpose}")
    failed = False
    for rule in RULES:
        violations = list(rule())
        print(f"\n{rule.__doc__} {'' if violations else 'It holds.'}".rstrip())
        for violation in violations:
            failed = True
            print(f"  {violation}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
