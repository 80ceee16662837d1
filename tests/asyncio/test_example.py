"""The example `examples.accounts` under many clients at once: no error, and no deposit is lost."""

import asyncio

import pytest

pytest.importorskip("starlette")
httpx = pytest.importorskip("httpx")
accounts = pytest.importorskip("examples.accounts")

CLIENTS = 64
DEPOSITS = 3
ACCOUNTS = 8


def test_no_deposit_is_lost(url: str) -> None:
    async def work() -> None:
        app = accounts.make_app(url)
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://test") as web,
        ):

            async def client(number: int) -> int:
                account = f"/accounts/{number % ACCOUNTS}"
                opened = await web.post(account)
                assert opened.status_code in (200, 201)
                for _ in range(DEPOSITS):
                    deposited = await web.post(f"{account}/deposits", json={"amount": 10})
                    assert deposited.status_code == 201
                    assert (await web.get(account)).status_code == 200
                return int(opened.status_code == 201)

            opened = await asyncio.gather(*(client(number) for number in range(CLIENTS)))
            assert sum(opened) == ACCOUNTS
            shown = [(await web.get(f"/accounts/{number}")).json() for number in range(ACCOUNTS)]
            each = CLIENTS * DEPOSITS // ACCOUNTS
            assert shown == [{"balance": 10 * each, "deposits": each}] * ACCOUNTS
            assert (await web.get("/accounts/unknown")).status_code == 404

    asyncio.run(work())
