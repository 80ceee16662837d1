"""The durable store of one machine: a database is one file, without a server. Each file is an SQLite database.

Modules
    `place` checks the path of a URL; `tables` has the file's tables and opens it; `connections` pools connections;
    `writer` runs writes, one process at a time, many threads with one sync; `file_lock` is the lock that processes
    share; `reads` answers requests; `writes` applies a batch, and `log_sync` syncs it; `store` implements the contract,
    `locks` the lock table, and `numbers` draws the numbers of counters; `failures` makes ROME's errors; `upgrade`
    changes a file of an older format.

Layout
    All spaces are in one table `pairs` with the primary key (space, key), WITHOUT ROWID: a B-tree in key order, so a
    key range is a range of the tree. The table `log` has one row for each commit: the state of the database at that
    version, and the undo records as one msgpack array. See `tables`.

Reads
    A read transaction of SQLite (WAL): all answers are from one version, and a reader never waits for a writer. A read
    at an older version undoes the log (`rome.storage.undo`).

Commits
    Writers of all processes take turns by a `flock` on the file `NAME-lock`, which queues them; SQLite's own lock makes
    them poll, and one of several writers may then wait for seconds. Threads of a process that commit at the same time
    share one transaction of SQLite and one sync of the disk (group commit), and no lock is held during the sync: see
    `writer`. Everything that can be refused is checked before the first write of a batch.

Durability
    `durability=full` (the default) syncs the write-ahead log before a commit returns: an acknowledged commit survives a
    crash of the machine, if the disk keeps what it has synced. `durability=normal` does not sync commits: they survive
    SIGKILL of any process, but a crash of the machine or a power cut loses the last ones; the file stays consistent.
    Counters and locks are never synced by themselves; the next synced commit also makes them durable. After a crash of
    the machine, up to 100 numbers of each counter are skipped (`numbers`).

Files
    `NAME-wal` and `NAME-shm` are SQLite's. They exist while the file is open, and after a crash. `NAME-lock` and
    `NAME-ids` stay; without the latter, numbers are skipped. A backup by `cp` needs all stores closed; SQLite's
    `.backup` and `VACUUM INTO` work at any time.

Processes that fork
    An open SQLite file must not be carried across a fork. All connections are closed before a fork and opened again
    when they are needed (`connections`).

Options of the URL
    `durability`, `log_commits` and `log_bytes` (the bounds of the log).
"""

from __future__ import annotations

from pathlib import Path

from rome.errors import InterfaceError
from rome.storage.file.place import OPTIONS, read_settings
from rome.storage.file.store import FileStore
from rome.storage.file.upgrade import upgrade
from rome.storage.registry import takes_options
from rome.url import URL

__all__ = ["FileStore", "open_file", "upgrade_file"]


@takes_options(*OPTIONS)
def open_file(url: URL) -> FileStore:
    """Return the store of a `rome+file:///path/NAME` URL; create the file if it is missing.

    Raise InterfaceError for a path that can't hold a database, FormatError, StoreUnavailable.
    """
    return FileStore(read_settings(url))


def upgrade_file(url: URL) -> int:
    """Bring the file of a URL to this format; return the format that it had. Raise as `open_file` does."""
    path = read_settings(url).path
    if not Path(path).exists():
        raise InterfaceError(f"the file {path} does not exist")
    return upgrade(path)
