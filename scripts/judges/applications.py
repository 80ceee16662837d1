"""The applications that are judged: their packages, and the URLs of ROME that they can be used with."""

from dataclasses import dataclass

URLS = {
    "rome": "rome+redis://{server}/{name}",
    "sqlite": "sqlite+rome://{server}/{name}",
    "committed": "rome+redis://{server}/{name}?dialect=sqlite&isolation_level=READ+COMMITTED",
}
"""The forms of URLs."""
DIALECTS = ("rome", "sqlite")


@dataclass(frozen=True)
class Application:
    """An application, by its packages. Its use is a module in `apps`, of its name in the table below."""

    requirements: tuple[str, ...]
    dialects: tuple[str, ...] = DIALECTS


APPLICATIONS = {
    "airflow": Application(("apache-airflow",), dialects=("committed",)),
    "apscheduler": Application(("apscheduler>=3.11,<4", "sqlalchemy")),
    "celery": Application(("celery[pytest]", "sqlalchemy")),
    "continuum": Application(("sqlalchemy-continuum",)),
    "fastapi": Application(("sqlmodel", "fastapi", "httpx", "aiosqlite", "sqlalchemy[asyncio]")),
    "flask_migrate": Application(("flask-migrate",)),
    "jupyterhub": Application(("jupyterhub",)),
    "mlflow": Application(("mlflow",), dialects=("sqlite",)),
    "optuna": Application(("optuna",)),
    "pandas": Application(("pandas",)),
    "sqlalchemy_utils": Application(
        ("sqlalchemy-utils", "furl", "passlib"),
        dialects=("rome",),  # under the name sqlite it creates and looks for a file
    ),
    "sqlmodel": Application(("sqlmodel", "fastapi", "httpx")),
    "taskflow": Application(("taskflow", "alembic", "sqlalchemy-utils")),
}
