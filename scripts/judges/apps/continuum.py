"""SQLAlchemy-Continuum: the history of rows that two processes write in turn."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, configure_mappers, declarative_base, relationship
from sqlalchemy_continuum import make_versioned, version_class

make_versioned(user_cls=None)
Base = declarative_base()


class Article(Base):
    """A versioned row."""

    __versioned__: dict[str, Any] = {}
    __tablename__ = "article"
    id = sa.Column(sa.Integer, primary_key=True)
    name = sa.Column(sa.Unicode(255))
    tags = relationship("Tag", back_populates="article", cascade="all, delete-orphan")


class Tag(Base):
    """A versioned row that belongs to an article."""

    __versioned__: dict[str, Any] = {}
    __tablename__ = "tag"
    id = sa.Column(sa.Integer, primary_key=True)
    name = sa.Column(sa.Unicode(255))
    article_id = sa.Column(sa.ForeignKey("article.id"))
    article = relationship(Article, back_populates="tags")


configure_mappers()


def run(url: str, folder: Path) -> dict[str, Any]:
    """Return the history after changes by two processes, a revert and a deletion."""
    engine = sa.create_engine(url)
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(Article(id=1, name="n0", tags=[Tag(id=1, name="t0")]))
        session.commit()
        for number in range(1, 6):
            _apart(rename, url, f"n{number}") if number % 2 else rename(url, f"n{number}")
        article = session.get(Article, 1)
        session.refresh(article)
        versions = list(article.versions)
        seen: dict[str, Any] = {
            "history": [version.name for version in versions],
            "in order": [version.transaction_id for version in versions]
            == sorted(version.transaction_id for version in versions),
            "previous": [version.previous and version.previous.name for version in versions],
            "changes": [version.changeset.get("name") for version in versions],
            "tags then": [[tag.name for tag in version.tags] for version in versions],
        }
        versions[2].revert()
        session.commit()
        seen["after a revert"] = article.name
        session.delete(article)
        session.commit()
        kind = version_class(Article)
        operations = session.scalars(sa.select(kind.operation_type).order_by(kind.transaction_id))
        seen["operations"] = list(operations)
    engine.dispose()
    return seen


def rename(url: str, name: str) -> None:
    """Change the article and its tag in one transaction."""
    engine = sa.create_engine(url)
    with Session(engine) as session:
        article = session.get(Article, 1)
        article.name = name
        article.tags[0].name = name.replace("n", "t")
        session.commit()
    engine.dispose()


def _apart(target: Any, *arguments: Any) -> None:
    process = multiprocessing.get_context("spawn").Process(target=target, args=arguments)
    process.start()
    process.join()
    assert process.exitcode == 0
