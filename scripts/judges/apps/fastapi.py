"""A FastAPI application with SQLModel on an async engine, and 64 clients at once. It reads annotations: no texts."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlmodel import Field, SQLModel, col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

CLIENTS = 64
ORDERS = 8


class Shelf(SQLModel, table=True):
    """Goods of one kind; the clients take from few of them."""

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)
    count: int


class Order(SQLModel, table=True):
    """Goods that a client has taken."""

    id: int | None = Field(default=None, primary_key=True)
    number: str = Field(unique=True)
    client: int = Field(index=True)
    shelf_id: int = Field(foreign_key="shelf.id")


def run(url: str, folder: Path) -> dict[str, Any]:
    """Return the responses to clients that order at once, each order twice, and what the database has then."""
    return asyncio.run(_run(url.replace("sqlite://", "sqlite+aiosqlite://")))


async def _run(url: str) -> dict[str, Any]:
    arguments = {"timeout": 600} if url.startswith("sqlite") else {}
    engine = create_async_engine(url, connect_args=arguments, pool_size=16, pool_timeout=600)
    async with engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all)
    transport = httpx.ASGITransport(_application(engine), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://judge", timeout=None) as client:
        for name in ("bolt", "nut", "gear"):
            await client.post("/shelves", json={"name": name, "count": 1000})
        answers = await asyncio.gather(*(_customer(client, number) for number in range(CLIENTS)))
        seen = {
            "statuses": sorted(Counter(status for statuses in answers for status in statuses).items()),
            "shelves": (await client.get("/shelves")).json(),
            "orders": (await client.get("/orders/7")).json(),
            "missing": (await client.get("/orders/9999")).status_code,
        }
    await engine.dispose()
    return seen


async def _customer(client: httpx.AsyncClient, number: int) -> list[int]:
    """Send orders, each of them twice at once; return the statuses."""
    statuses = []
    for each in range(ORDERS):
        order = {"number": f"{number}-{each}", "client": number, "shelf_id": 1 + (number + each) % 3}
        twice = [client.post("/orders", json=order) for _ in range(2)]
        statuses += [response.status_code for response in await asyncio.gather(*twice)]
        statuses.append((await client.get(f"/orders/{number}")).status_code)
    return statuses


def _application(engine: AsyncEngine) -> FastAPI:
    app = FastAPI()

    async def session() -> Any:
        async with AsyncSession(engine, expire_on_commit=False) as opened:
            yield opened

    opened = Depends(session)

    @app.post("/shelves", status_code=201)
    async def create_shelf(shelf: Shelf, session: AsyncSession = opened) -> Any:
        session.add(shelf)
        await session.commit()
        return {}

    @app.post("/orders", status_code=201)
    async def create_order(order: Order, session: AsyncSession = opened) -> Any:
        session.add(order)
        try:
            await session.exec(Shelf.__table__.update().where(Shelf.id == order.shelf_id).values(count=Shelf.count - 1))
            await session.commit()
        except IntegrityError as error:
            raise HTTPException(409) from error
        await session.refresh(order)
        return {"id": order.id}

    @app.get("/orders/{client}")
    async def orders(client: int, session: AsyncSession = opened) -> Any:
        query = select(Order.number, Shelf.name).join(Shelf, col(Shelf.id) == Order.shelf_id)
        found = await session.exec(query.where(Order.client == client).order_by(Order.number))
        rows = [list(row) for row in found]
        if not rows:
            raise HTTPException(404)
        return rows

    @app.get("/shelves")
    async def shelves(session: AsyncSession = opened) -> Any:
        taken = select(Shelf.name, Shelf.count, func.count(col(Order.id)))
        found = await session.exec(taken.join(Order, col(Order.shelf_id) == Shelf.id).group_by(Shelf.name))
        return sorted(list(row) for row in found)

    return app
