"""A web service on an async engine: it opens accounts and takes deposits. `make_app(url)` is an ASGI application.

    POST /accounts/NAME              open the account, if there is none of this name yet
    POST /accounts/NAME/deposits     add the `amount` of the JSON body
    GET  /accounts/NAME              the balance, and how many deposits there were

It is plain SQLAlchemy and Starlette. READ COMMITTED is the level that such services expect: clients that deposit at
once wait for each other at the row lock, and those that open an account at once get an IntegrityError.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import ForeignKey, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


class Base(DeclarativeBase):
    """The tables of the service."""


class Account(Base):
    """An account."""

    __tablename__ = "accounts"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    balance: Mapped[int] = mapped_column(default=0)


class Deposit(Base):
    """A deposit to an account."""

    __tablename__ = "deposits"

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey(Account.id), index=True)
    amount: Mapped[int]


def make_app(url: str) -> Starlette:
    """Return the application on the database of a ROME URL."""
    engine = create_async_engine(url, isolation_level="READ COMMITTED", pool_size=20)
    sessions = async_sessionmaker(engine)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        yield
        await engine.dispose()

    async def open_account(request: Request) -> JSONResponse:
        name = request.path_params["name"]
        try:
            async with sessions.begin() as session:
                session.add(Account(name=name))
        except IntegrityError:
            return JSONResponse({"name": name, "opened": False})
        return JSONResponse({"name": name, "opened": True}, 201)

    async def deposit(request: Request) -> JSONResponse:
        amount = int((await request.json())["amount"])
        async with sessions.begin() as session:
            account = await _account(session, request, locked=True)
            account.balance += amount
            session.add(Deposit(account_id=account.id, amount=amount))
            return JSONResponse({"balance": account.balance}, 201)

    async def show(request: Request) -> JSONResponse:
        async with sessions() as session:
            account = await _account(session, request)
            count = await session.scalar(select(func.count()).where(Deposit.account_id == account.id))
            return JSONResponse({"balance": account.balance, "deposits": count})

    routes = [
        Route("/accounts/{name}", open_account, methods=["POST"]),
        Route("/accounts/{name}", show, methods=["GET"]),
        Route("/accounts/{name}/deposits", deposit, methods=["POST"]),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


async def _account(session: AsyncSession, request: Request, *, locked: bool = False) -> Account:
    """Return the account that a request names. Raise HTTPException if there is none."""
    statement = select(Account).where(Account.name == request.path_params["name"])
    account = await session.scalar(statement.with_for_update() if locked else statement)
    if account is None:
        raise HTTPException(404, "no such account")
    return account
