"""Command line of the fuzzer; `python -m rome.verify.sql --help`."""

from __future__ import annotations

import sys
from functools import partial

from rome.verify.campaign import campaign_parser, run_campaign, store_of
from rome.verify.sql import __doc__ as description
from rome.verify.sql.trial import case_or_race


def main() -> int:
    """Run the fuzzer; return 1 if it has found a difference."""
    parser = campaign_parser("rome.verify.sql", description)
    parser.add_argument("--level", help="one isolation level for all cases")
    parser.add_argument("--races", action="store_true", help="overlapping transactions only")
    options = parser.parse_args()
    play = partial(
        case_or_race, store=store_of(options), length=options.length, level=options.level, only_races=options.races
    )
    return run_campaign(options, play, "statements")


if __name__ == "__main__":
    sys.exit(main())
