"""The applications that are judged: their packages, and the names of ROME's dialect that they can be used with."""

from dataclasses import dataclass

DIALECTS = ("rome", "sqlite")


@dataclass(frozen=True)
class Application:
    """An application, by its packages. Its use is a module in `apps`, of its name in the table below."""

    requirements: tuple[str, ...]
    dialects: tuple[str, ...] = DIALECTS


APPLICATIONS = {
    "apscheduler": Application(("apscheduler>=3.11,<4", "sqlalchemy")),
    "celery": Application(("celery[pytest]", "sqlalchemy")),
    "continuum": Application(("sqlalchemy-continuum",)),
    "flask_migrate": Application(("flask-migrate",)),
    "optuna": Application(("optuna",)),
    "pandas": Application(("pandas",)),
    "sqlalchemy_utils": Application(
        ("sqlalchemy-utils", "furl", "passlib"),
        dialects=("rome",),  # under the name sqlite it creates and looks for a file
    ),
    "sqlmodel": Application(("sqlmodel", "fastapi", "httpx")),
    "taskflow": Application(("taskflow", "alembic", "sqlalchemy-utils")),
}
