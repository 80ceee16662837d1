"""The report's account of the machine, the versions, the servers' settings, and of what could not be measured."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from redis import Redis
from sqlalchemy import make_url, text

import rome
from benchmarks.backends import BACKENDS, Backend, Missing, Opened, open_backend
from benchmarks.services.functions import SERVICES

_PACKAGES = (
    *("sqlalchemy", "redis", "hiredis", "sqlglot", "apsw", "oslo.db", "nova", "glance"),
    *("psycopg", "psycopg2-binary", "asyncpg", "mysqlclient", "PyMySQL"),
)

_SETTINGS = {
    "postgresql": "SELECT name, setting || coalesce(' ' || unit, '') FROM pg_settings "
    "WHERE name IN ('server_version', 'shared_buffers', 'fsync', 'full_page_writes', 'jit')",
    "mysql": "SHOW GLOBAL VARIABLES WHERE variable_name IN "
    "('version', 'innodb_buffer_pool_size', 'innodb_flush_method', 'log_bin', 'query_cache_type')",
    "sqlite": "SELECT 'version', sqlite_version()",
}


def about(found: dict[str, Any], quick: bool, services: bool) -> dict[str, Any]:
    """Return what the report says apart from the measurements. `found`: what pytest-benchmark found out."""
    settings, missing = _servers(BACKENDS)
    missing |= {f"functions of {each.name}": "not asked for (--services)" for each in SERVICES if not services}
    return {
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
        "quick": quick,
        "rome": rome.__version__,
        "commit": (found.get("commit_info") or {}).get("id", "")[:12],
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "processor": found.get("machine_info", {}).get("cpu", {}).get("brand_raw", platform.processor()),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "packages": {name: _version(name) for name in _PACKAGES},
        "settings": settings,
        "missing": missing,
    }


def _servers(backends: Iterable[Backend]) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """Return the settings of each server by its kind, and the reason for each database that can't be had."""
    settings: dict[str, dict[str, str]] = {}
    missing: dict[str, str] = {}
    for backend in backends:
        try:
            with open_backend(backend) as opened:
                kind = make_url(opened.url).get_backend_name()
                if kind not in settings:
                    settings[kind] = opened.run(lambda at=opened: _settings_of(at))
        except Missing as reason:
            missing[backend.name] = str(reason)
    return {{"rome": "Valkey"}.get(kind, kind): values for kind, values in settings.items()}, missing


def _settings_of(opened: Opened) -> dict[str, str]:
    if opened.backend.kind == "rome":
        url = make_url(opened.url)
        with Redis(url.host or "", url.port or 0) as client:
            info: Any = client.info("server")
            values: Any = client.config_get("appendfsync")
        return {"version": info.get("valkey_version", info["redis_version"]), **values}
    with opened.engine.connect() as connection:
        return {name: str(value) for name, value in connection.execute(text(_SETTINGS[opened.engine.dialect.name]))}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
