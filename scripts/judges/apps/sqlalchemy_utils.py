"""SQLAlchemy-Utils: databases that are created and dropped, types, and functions for queries."""

from __future__ import annotations

import enum
import uuid
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import sqlalchemy_utils as utils
from sqlalchemy.orm import Session, declarative_base, relationship

Base = declarative_base()


class Color(enum.Enum):
    """An enum, kept as a number."""

    RED = 1
    BLUE = 2


Color.RED.label, Color.BLUE.label = "red", "blue"


class Shop(Base):
    """A row with types of the library."""

    __tablename__ = "shop"
    id = sa.Column(utils.UUIDType, primary_key=True, default=uuid.uuid4)
    mail = sa.Column(utils.EmailType, unique=True)
    color = sa.Column(utils.ChoiceType(Color, impl=sa.Integer()))
    extra = sa.Column(utils.JSONType)
    site = sa.Column(utils.URLType)
    words = sa.Column(utils.ScalarListType())
    products = relationship("Product", back_populates="shop")


class Product(Base):
    """A row that belongs to a shop."""

    __tablename__ = "product"
    id = sa.Column(sa.Integer, primary_key=True)
    shop_id = sa.Column(sa.ForeignKey("shop.id"))
    price = sa.Column(sa.Integer)
    shop = relationship(Shop, back_populates="products")


def run(url: str, folder: Path) -> dict[str, Any]:
    """Return what the functions say about a database, and what the types keep."""
    seen: dict[str, Any] = {"before": utils.database_exists(url)}
    utils.create_database(url)
    engine = sa.create_engine(url)
    Base.metadata.create_all(engine)
    seen["created"] = utils.database_exists(url)
    with Session(engine) as session:
        values = {"mail": "Anna@Example.org", "color": Color.BLUE, "extra": {"a": [1, None]}, "words": ["x", "y"]}
        shop = Shop(**values, site="https://example.org/a", products=[Product(price=3), Product(price=4)])
        session.add(shop)
        session.commit()
        session.expire_all()
        read = session.scalars(sa.select(Shop).where(Shop.mail == "anna@example.org")).one()
        seen["values"] = [
            read.mail,
            read.color.name,
            read.extra,
            read.words,
            str(read.site),
            isinstance(read.id, uuid.UUID),
        ]
        seen["analysis"] = [utils.has_index(Product.__table__.c.shop_id), utils.get_primary_keys(Shop).keys() == {"id"}]
        seen["dependent objects"] = utils.dependent_objects(read).count()
    engine.dispose()
    utils.drop_database(url)
    seen["dropped"] = utils.database_exists(url)
    return seen
