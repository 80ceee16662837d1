"""The console as an ASGI application: its routes, and the pages as functions of a request."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

import rome
from rome.catalog.model import Catalog
from rome.cli.console import commits
from rome.cli.console.guard import TokenGuard, form_value, read_form
from rome.cli.console.plan_svg import draw_plan
from rome.cli.console.queries import PAGE, Found, RowsWanted, read_rows, run_sql
from rome.cli.console.schema_svg import draw_schema
from rome.cli.inspect.locks import described as described_lock
from rome.cli.inspect.tables import described as described_table
from rome.cli.live.activity import merged_statements
from rome.cli.opened import opened
from rome.cli.values import printable, shown
from rome.database.database import Database
from rome.database.registry import open_database, release_database
from rome.errors import Error
from rome.metrics.publisher import read_notes
from rome.url import parse_url

_HERE = Path(__file__).parent
_COMMITS = 50

_Page = Callable[["_Console", Request], Response]


@dataclass
class _Console:
    """The databases of a console, by the number in their addresses, and what its pages are made with."""

    urls: Sequence[str]
    token: str
    write: bool
    databases: list[Database] = field(default_factory=list)
    is_over: bool = False

    def __post_init__(self) -> None:
        loader = FileSystemLoader(_HERE / "templates")
        self.templates = Environment(
            loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        self.templates.filters.update(shown=shown, printable=printable, number=lambda each: f"{each:,}")
        self.templates.globals.update(version=rome.__version__, write=self.write, form=form_value(self.token))

    def page(self, name: str, request: Request, status: int = 200, **values: Any) -> Response:
        """Return a page made of a template."""
        at = request.path_params.get("at")
        place = {
            "at": at,
            "url": None if at is None else str(parse_url(self.urls[at])),
            "databases": [str(parse_url(url)) for url in self.urls],
            "path": request.url.path,
        }
        return HTMLResponse(self.templates.get_template(name).render(**place, **values), status)

    def at(self, request: Request) -> int:
        """Return the number of the database of a request. Raise HTTPException if there is none."""
        at: int = request.path_params["at"]
        if at >= len(self.urls):
            raise HTTPException(404, "There is no such database.")
        return at

    def catalog(self, request: Request) -> Catalog:
        """Return the newest catalog of the database of a request."""
        database = self.databases[self.at(request)]
        return database.catalog(database.store.fetch([]))


def make_app(urls: Sequence[str], token: str, *, write: bool, host: str = "127.0.0.1") -> Starlette:
    """Return the application. It opens the databases when it starts."""
    console = _Console(urls, token, write)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        console.databases = [open_database(parse_url(url)) for url in urls]
        yield
        console.is_over = True
        for database in console.databases:
            release_database(database)

    def route(path: str, page: _Page) -> Route:
        def answer(request: Request) -> Response:
            return page(console, request)

        return Route(path, answer, methods=["GET"])

    async def run(request: Request) -> Response:
        return await _run(console, request)

    async def stream(request: Request) -> Response:
        return _stream(console, request)

    return Starlette(
        routes=[
            route("/", _start),
            route("/{at:int}/", _tables),
            route("/{at:int}/schema", _schema),
            route("/{at:int}/commits", _commits),
            Route("/{at:int}/commits/stream", stream),
            route("/{at:int}/activity", _activity),
            Route("/{at:int}/sql", run, methods=["GET", "POST"]),
            route("/{at:int}/tables/{name:path}", _rows),
            Mount("/static", StaticFiles(directory=_HERE / "static")),
        ],
        middleware=[Middleware(TokenGuard, token=token, host=host)],
        exception_handlers={
            HTTPException: lambda request, error: _failed(console, request, error),
            Error: lambda request, error: _failed(console, request, error),
        },
        lifespan=lifespan,
    )


def _failed(console: _Console, request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    message = error.detail if isinstance(error, HTTPException) else str(error)
    request.scope["path_params"] = {}
    return console.page("error.html", request, status, message=message)


def _start(console: _Console, request: Request) -> Response:
    if len(console.urls) == 1:
        return RedirectResponse("/0/", 303)
    return console.page("start.html", request)


def _tables(console: _Console, request: Request) -> Response:
    with opened(console.urls[console.at(request)]) as database:
        found = [described_table(database, table, exact=False) for table in database.catalog.tables.values()]
        views = sorted(item.name for item in database.catalog.objects.values() if item.type == "view")
        newest = database.version
    for each in found:
        each["index bytes"] = sum(index["bytes"] for index in each["indexes"])
    found.sort(key=lambda each: each["table"])
    most = max((each["bytes"] + each["index bytes"] for each in found), default=0) or 1
    return console.page("tables.html", request, tables=found, views=views, newest=newest, most=most)


def _rows(console: _Console, request: Request) -> Response:
    table = console.catalog(request).table(request.path_params["name"])
    if table is None:
        raise HTTPException(404, f"There is no table {request.path_params['name']}.")
    query = request.query_params
    page = query.get("page", "0")
    filters = {name[2:]: value.strip() for name, value in query.items() if name.startswith("f.") and value.strip()}
    number = int(page) if page.isdecimal() and len(page) < 10 else 0
    wanted = RowsWanted(filters, query.get("sort", ""), query.get("desc") == "1", number)
    sql, found, problem = "", Found(), ""
    try:
        sql, found = read_rows(console.urls[console.at(request)], table, wanted)
    except Error as error:
        problem = str(error)

    def address(**changes: Any) -> str:
        kept = {f"f.{name}": value for name, value in filters.items()}
        kept |= {"sort": wanted.order, "desc": "1" if wanted.descending else "", "page": wanted.page} | changes
        return f"?{urlencode({name: value for name, value in kept.items() if value})}"

    return console.page(
        "rows.html",
        request,
        table=table,
        wanted=wanted,
        found=found,
        sql=sql,
        problem=problem,
        address=address,
        size=PAGE,
    )


def _schema(console: _Console, request: Request) -> Response:
    catalog = console.catalog(request)
    drawing = Markup(draw_schema(catalog, f"/{console.at(request)}/tables/"))  # noqa: S704 - its texts are escaped
    return console.page("schema.html", request, drawing=drawing, objects=list(catalog.objects.values()))


def _commits(console: _Console, request: Request) -> Response:
    found = commits.newest_commits(console.databases[console.at(request)], _COMMITS)
    return console.page("commits.html", request, commits=found)


def _stream(console: _Console, request: Request) -> Response:
    last = request.headers.get("last-event-id", "")
    template = console.templates.get_template("commit.html")
    events = commits.stream(
        console.databases[console.at(request)],
        int(last) if last.isdecimal() else None,
        lambda commit: template.render(commit=commit, at=request.path_params["at"]),
        lambda: console.is_over,
    )
    return StreamingResponse(events, media_type="text/event-stream")


def _activity(console: _Console, request: Request) -> Response:
    database = console.databases[console.at(request)]
    processes = read_notes(database.store)
    catalog = database.catalog(database.store.fetch([]))
    locks = [described_lock(holder, catalog) for holder in database.store.lock_table().holders()]
    statements = merged_statements(processes)
    slow = sorted(statements, key=lambda each: -each[1].longest)[:20]
    return console.page(
        "activity.html", request, processes=processes, statements=statements[:20], slow=slow, locks=locks
    )


async def _run(console: _Console, request: Request) -> Response:
    at = console.at(request)
    sql, found, problem, drawing = "", None, "", ""
    if request.method == "POST":
        form = await read_form(request, console.token)
        if form is None:
            raise HTTPException(403, "The form is not one of this console's pages; open the page again.")
        sql = form.get("sql", "")
        explain = form.get("action") == "explain"
        try:
            found = await run_in_threadpool(run_sql, console.urls[at], sql, write=console.write, explain=explain)
            drawing = Markup(draw_plan(found.plan))  # noqa: S704 - its texts are escaped
        except Error as error:
            problem = str(error)
    return await run_in_threadpool(
        console.page, "sql.html", request, sql=sql, found=found, problem=problem, drawing=drawing
    )
