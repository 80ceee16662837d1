"""The path and the options of a file URL, and the places that can't hold a database.

rome+file:///path/app.rome      the absolute path /path/app.rome
rome+file://./app.rome          a path relative to the current directory
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from rome.errors import InterfaceError
from rome.storage.store import LOG_BYTES, LOG_COMMITS
from rome.url import URL

OPTIONS = ("durability", "log_bytes", "log_commits")

_DURABILITIES = ("full", "normal")

_MOUNTS = Path("/proc/self/mountinfo")

_NETWORK = (
    {"9p", "afs", "beegfs", "ceph", "cifs", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2"}
    | {"orangefs", "smb3"}
    | {"fuse.ceph", "fuse.gcsfuse", "fuse.glusterfs", "fuse.rclone", "fuse.s3fs", "fuse.sshfs"}
)
"""File systems of several machines. Their locks and shared memory do not reach the other machines."""


class Settings(NamedTuple):
    """The settings of a URL: the absolute path, the durability, the bounds of the log."""

    path: str
    durable: bool = True
    log_commits: int = LOG_COMMITS
    log_bytes: int = LOG_BYTES


def read_settings(url: URL) -> Settings:
    """Return the settings of a URL. Raise InterfaceError if it can't name a database file."""
    if url.port or url.user or url.password or url.host not in (None, "."):
        raise InterfaceError(
            f"a file has no server: {url}; write rome+file:///path/NAME, or rome+file://./NAME for a relative path"
        )
    if not url.database:
        raise InterfaceError(f"the ROME URL {url} names no file; write rome+file:///path/NAME")
    path = Path(url.database if url.host == "." else f"/{url.database.lstrip('/')}").resolve()
    _check_place(path)
    durability = url.options.get("durability", "full")
    if durability not in _DURABILITIES:
        raise InterfaceError(
            f"option 'durability' of the ROME URL {url} is not one of {', '.join(_DURABILITIES)}: {durability!r}"
        )
    limits = {name: url.positive(name) for name in url.options.keys() & {"log_commits", "log_bytes"}}
    return Settings(str(path), durability == "full", **limits)


def _check_place(path: Path) -> None:
    """Raise InterfaceError if a path is a directory, or is in a directory that is missing, read-only or remote."""
    folder = path.parent
    if path.is_dir():
        raise InterfaceError(f"{path} is a directory; a ROME database is one file: name a file in it")
    if not folder.is_dir():
        raise InterfaceError(f"the directory {folder} of the database {path} does not exist; create it first")
    if path.exists() and not os.access(path, os.R_OK):
        raise InterfaceError(f"{path} can't be read by this process; it needs the permission to read and write it")
    read_only = next((place for place in (folder, path) if place.exists() and not _is_writable(place)), None)
    if read_only is not None:
        raise InterfaceError(
            f"{read_only} is read-only for this process; the database {path} also needs to write files next to it"
        )
    kind = _file_system(folder.stat().st_dev)
    if kind in _NETWORK:
        raise InterfaceError(
            f"{path} is on a network file system ({kind}), whose locks do not reach the other machines; "
            "use a local disk, or a server: rome+redis://host:port/NAME"
        )


def _is_writable(place: Path) -> bool:
    return os.access(place, os.W_OK) and not os.statvfs(place).f_flag & os.ST_RDONLY


def _file_system(device: int) -> str:
    """Return the type of the file system on a device; '' if the operating system does not tell it."""
    try:
        lines = _MOUNTS.read_text().splitlines()
    except OSError:
        return ""
    number = f"{os.major(device)}:{os.minor(device)}"
    for line in lines:
        before, _, after = line.partition(" - ")
        if before.split(" ")[2] == number:
            return after.split(" ")[0]
    return ""
