"""The registry of stores: the name between `rome+` and `://` in a URL selects the function that opens the store.

ROME's own stores are listed here; other packages register theirs by an entry point:

    [options.entry_points]
    rome.stores =
        fancy = fancy_rome:open_fancy

`open_fancy` takes a `rome.url.URL` and returns a Store; `takes_options` declares the options that the URL may have. A
store's module is imported when the store is opened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar, cast

from rome.errors import InterfaceError
from rome.forks import import_module
from rome.storage.store import Store
from rome.url import URL

GROUP = "rome.stores"
"""The group of the entry points."""

Opener = Callable[[URL], Store]

_O = TypeVar("_O", bound=Opener)

_BUILT_IN = {
    "file": "rome.storage.file:open_file",
    "memory": "rome.storage.memory:open_memory",
    "redis": "rome.storage.redis:open_redis",
    "rediss": "rome.storage.redis:open_redis",
    "unix": "rome.storage.redis:open_redis",
}
"""Found without installed metadata, and without the time that it takes to search them."""

_UPGRADES = {
    "file": "rome.storage.file:upgrade_file",
    "redis": "rome.storage.redis:upgrade_redis",
    "rediss": "rome.storage.redis:upgrade_redis",
    "unix": "rome.storage.redis:upgrade_redis",
}

_EXTRAS = {"redis": "redis", "rediss": "redis", "unix": "redis"}
"""The extra of ROME that installs what a store needs."""


def open_store(url: URL) -> Store:
    """Open the store that a URL names. The options of connections have been removed from the URL.

    Raise InterfaceError for an unknown store or option, or if the store's packages are not installed;
    StoreUnavailable.
    """
    opener = _opener(url.store)
    if hasattr(opener, "options"):
        check_options(url, opener.options)
    return opener(url)


def upgrade_store(url: URL) -> int:
    """Bring the database of a URL to the format of this ROME; return the format that it had.

    No other client may use the database meanwhile. Raise InterfaceError for a store without formats, FormatError for a
    format that is too old or too new, StoreUnavailable.
    """
    if url.store not in _UPGRADES:
        raise InterfaceError(f"a database of the store {url.store!r} has no format that could be upgraded")
    upgrade = cast("Callable[[URL], int]", _imported(_UPGRADES[url.store], url.store))
    return upgrade(url)


def store_options(url: URL) -> frozenset[str]:
    """Return the names of the options that the URL's store takes. Raise InterfaceError as `open_store` does."""
    return cast("frozenset[str]", getattr(_opener(url.store), "options", frozenset()))


def takes_options(*names: str) -> Callable[[_O], _O]:
    """Declare the URL options that an opener reads: a decorator. An opener without it checks them itself."""

    def declare(opener: _O) -> _O:
        opener.options = frozenset(names)  # type: ignore[attr-defined]
        return opener

    return declare


def check_options(url: URL, known: Iterable[str]) -> None:
    """Raise InterfaceError for an option of the URL that is not known; it lists those that are."""
    names = sorted(known)
    for name in url.options:
        if name not in names:
            takes = f"it takes {', '.join(names)}" if names else "it takes none"
            raise InterfaceError(f"unknown option {name!r} in the ROME URL {url}; {takes}")


def _opener(store: str) -> Opener:
    if store in _BUILT_IN:
        return cast("Opener", _imported(_BUILT_IN[store], store))
    registered = {point.name: point for point in entry_points(group=GROUP)}
    if store not in registered:
        raise _unknown(store, registered)
    try:
        import_module(registered[store].module)
        return cast("Opener", registered[store].load())
    except ModuleNotFoundError as error:
        raise _not_installed(store, error) from error


def _imported(target: str, store: str) -> Any:
    """Return the function `MODULE:NAME` of a store. Raise InterfaceError if its packages are not installed."""
    module, _, function = target.partition(":")
    try:
        return getattr(import_module(module), function)
    except ModuleNotFoundError as error:
        raise _not_installed(store, error) from error


def _not_installed(store: str, error: ModuleNotFoundError) -> InterfaceError:
    package = f"rome-db[{_EXTRAS[store]}]" if store in _EXTRAS else str(error.name)
    return InterfaceError(
        f"the store {store!r} needs the package {error.name!r}, which is not installed: pip install '{package}'"
    )


def _unknown(store: str, registered: dict[str, EntryPoint]) -> InterfaceError:
    known = ", ".join(sorted({*_BUILT_IN, *registered}))
    return InterfaceError(f"unknown store {store!r} in the ROME URL; known are: {known}")
