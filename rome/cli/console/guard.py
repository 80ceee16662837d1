"""Access to the pages.

token     in the address once; then in a cookie that scripts and other sites do not get. Or as a Bearer token.
hosts     the Host header must name this server, so that no other site can let a browser read it (DNS rebinding)
forms     each has a value made of the token, and must come from this site (CSRF)
content   no page may load scripts, styles or frames of others, or run scripts in its text
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qs, urlencode, urlsplit

from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp

COOKIE = "rome_console"
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_LONGEST_FORM = 1_000_000
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    # With "no-referrer", browsers would send `Origin: null` with the forms of this site.
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}

_Next = Callable[[Request], Awaitable[Response]]


class TokenGuard(BaseHTTPMiddleware):
    """Refuses requests without the token, for other hosts, and forms of other sites."""

    def __init__(self, app: ASGIApp, token: str, host: str) -> None:
        super().__init__(app)
        self._token = token
        self._hosts = _LOOPBACK | {host} if host in _LOOPBACK else None

    async def dispatch(self, request: Request, call_next: _Next) -> Response:
        """Answer a request."""
        response = self._refusal(request) or await call_next(request)
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    def _refusal(self, request: Request) -> Response | None:
        """Return the answer to a request that may not see the page; None if it may."""
        if self._hosts is not None and request.url.hostname not in self._hosts:
            return PlainTextResponse("This server answers only requests to the address that it printed.\n", 403)
        given = request.query_params.get("token")
        if given is not None:
            return self._logged_in(request) if self._is_token(given) else _wrong_token()
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._is_token(bearer):
            return None
        return None if self._is_token(request.cookies.get(COOKIE, "")) else _wrong_token()

    def _logged_in(self, request: Request) -> Response:
        """Keep the token in a cookie, and go to the same page without it."""
        rest = [(name, value) for name, value in request.query_params.multi_items() if name != "token"]
        # Only the path: two slashes at its beginning would name another host.
        target = "/" + request.url.path.lstrip("/") + (f"?{urlencode(rest)}" if rest else "")
        response = RedirectResponse(target, 303)
        response.set_cookie(COOKIE, self._token, httponly=True, samesite="strict", path="/")
        return response

    def _is_token(self, text: str) -> bool:
        return hmac.compare_digest(text.encode(), self._token.encode())


def _wrong_token() -> Response:
    return PlainTextResponse("Wrong or missing token. Open the address that `rome console` printed.\n", 403)


def form_value(token: str) -> str:
    """Return the value that each form has."""
    return hmac.new(token.encode(), b"form", hashlib.sha256).hexdigest()


async def read_form(request: Request, token: str) -> dict[str, str] | None:
    """Return the fields of a form; None if it is not one of this site's pages."""
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        return None
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _LONGEST_FORM:
            return None
    fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
    form = {name: values[-1] for name, values in fields.items()}
    return form if hmac.compare_digest(form.get("form", "").encode(), form_value(token).encode()) else None
