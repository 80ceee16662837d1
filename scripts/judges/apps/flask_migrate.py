"""Flask-Migrate: migrations that are generated from models, run forth and back, and an application between them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import sqlalchemy as sa

APP = """
from flask import Flask, jsonify, request
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy

app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = {url!r}
db = SQLAlchemy(app)
Migrate(app, db, render_as_batch={batch})


class User(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    name = db.Column(db.String(80), nullable=False, unique=True)
    {more}


@app.post("/users")
def create():
    user = User(**request.json)
    db.session.add(user)
    db.session.commit()
    return jsonify(id=user.id), 201


@app.get("/users")
def show():
    page = db.paginate(db.select(User).order_by(User.id), per_page=2, page=int(request.args["page"]))
    return jsonify(names=[user.name for user in page], total=page.total)
"""

SECOND = """mail = db.Column(db.String(120), index=True, server_default="none", nullable=False)


class Post(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    user_id = db.Column(db.ForeignKey("user.id", name="fk_post_user"), nullable=False)
"""


def run(url: str, folder: Path) -> dict[str, Any]:
    """Return what the commands print and what the database has after each."""
    batch = url.startswith("sqlite")
    write(folder, url, batch, "")
    flask(folder, "db", "init")
    flask(folder, "db", "migrate", "-m", "first")
    flask(folder, "db", "upgrade")
    seen: dict[str, Any] = {"first": schema(url), "requests": python(folder, "-c", CLIENT)}
    write(folder, url, batch, SECOND)
    flask(folder, "db", "migrate", "-m", "second")
    flask(folder, "db", "upgrade")
    seen["second"] = schema(url)
    seen["difference"] = "No changes in schema detected" in flask(folder, "db", "migrate", "-m", "none")
    seen["rows"] = rows(url)
    flask(folder, "db", "downgrade")
    seen["downgraded"] = schema(url)
    seen["rows then"] = rows(url)
    flask(folder, "db", "upgrade")
    seen["again"] = schema(url)
    return seen


CLIENT = """
from app import app

client = app.test_client()
print([client.post("/users", json={"name": name}).status_code for name in "abcde"])
print([client.get(f"/users?page={page}").json for page in (1, 3)])
"""


def write(folder: Path, url: str, batch: bool, more: str) -> None:
    """Write the application."""
    (folder / "app.py").write_text(APP.format(url=url, batch=batch, more=more))


def flask(folder: Path, *arguments: str) -> str:
    """Run a command of Flask; return what it prints."""
    return python(folder, "-m", "flask", *arguments)


def python(folder: Path, *arguments: str) -> str:
    """Run Python with the application on its path; return what it prints."""
    command = [sys.executable, "-W", "ignore", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{arguments}: {done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def schema(url: str) -> dict[str, Any]:
    """Return the tables, their columns, and the columns of indexes and foreign keys."""
    engine = sa.create_engine(url)
    inspector = sa.inspect(engine)
    found = {
        table: {
            "columns": [
                (column["name"], str(column["type"]), column["nullable"]) for column in inspector.get_columns(table)
            ],
            "indexes": sorted(str(index["column_names"]) for index in inspector.get_indexes(table)),
            "unique": sorted(str(key["column_names"]) for key in inspector.get_unique_constraints(table)),
            "foreign keys": [key["referred_table"] for key in inspector.get_foreign_keys(table)],
        }
        for table in sorted(inspector.get_table_names())
    }
    engine.dispose()
    return found


def rows(url: str) -> list[list[Any]]:
    """Return the users."""
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        found = [list(row) for row in connection.execute(sa.text('SELECT * FROM "user" ORDER BY id'))]
    engine.dispose()
    return found
