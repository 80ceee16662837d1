"""In which order did the values of each key come? Told from the longest list that anyone read.

Every list that was read must be the beginning of that one, for lists only grow. This needs no knowledge of what the
store did inside; it is why the workload appends and does not overwrite.
"""

from __future__ import annotations

from collections.abc import Iterator

from rome.verify.histories.history import Finding, History, Outcome, Read, Transaction

Writers = dict[tuple[int, int], Transaction]
"""(key, value) → the transaction that appended it."""


def writers(history: History) -> Writers:
    """Who appended what."""
    return {(append.key, append.value): each for each in history.transactions for append in each.appends}


def observations(history: History) -> Iterator[tuple[str, Read, bool]]:
    """Every list that a transaction which may have committed read, the final ones too.

    Each with the reader's name, and whether it is unsure: it shows appends of the reader's own, which has no answer.
    """
    for each in history.transactions:
        if each.outcome is Outcome.ABORTED:
            continue
        appended: set[int] = set()
        for operation in each.operations:
            if isinstance(operation, Read):
                yield each.name, operation, operation.key in appended and each.outcome is Outcome.UNKNOWN
            else:
                appended.add(operation.key)
    for key, values in (history.final or {}).items():
        yield "the final read", Read(key, values), False


def longest_reads(history: History) -> dict[int, tuple[int, ...]]:
    """Key → the order of its values: the final list, or the longest that was read.

    An unsure read shows what may never have come to be, so others go before it.
    """
    order: dict[int, tuple[tuple[bool, int], tuple[int, ...]]] = {}
    for _, (key, values), unsure in observations(history):
        rank = (not unsure, len(values))
        if key not in order or rank > order[key][0]:
            order[key] = rank, values
    found = {key: values for key, (_, values) in order.items()}
    return found | dict(history.final or {})


def disorders(history: History, order: dict[int, tuple[int, ...]]) -> Iterator[Finding]:
    """Values that stand twice in a list, and lists that are not the beginning of one another."""
    reported: set[int] = set()
    for name, (key, values), unsure in observations(history):
        if key in reported:
            continue
        if len(set(values)) < len(values):
            twice = next(value for value in values if values.count(value) > 1)
            reported.add(key)
            yield Finding("duplicate", f"{name} read value {twice} more than once in key {key}: {_shown(values)}")
        elif not unsure and values != order[key][: len(values)]:
            reported.add(key)
            yield Finding(
                "incompatible order",
                f"{name} read key {key} as {_shown(values)}, which is not how {_shown(order[key])} begins",
            )


def _shown(values: tuple[int, ...]) -> str:
    if len(values) <= 12:
        return str(list(values))
    return f"[… {', '.join(map(str, values[-12:]))}] ({len(values)} values)"
