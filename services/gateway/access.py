"""Who may ask for what: decided from the headers of a request alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import urlsplit

from services.gateway.limits import RateLimit
from services.gateway.problems import Problem
from services.gateway.tokens import COOKIE, TokenCheck

#: Names by which a machine calls itself.
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
#: What is open without the token: the page's own files are no secret.
_OPEN: Final = frozenset({"/api/session", "/api/openapi.json"})


def is_loopback(host: str) -> bool:
    """Tell whether an address is reached from this machine alone."""
    return host in LOOPBACK or host.startswith("127.")


@dataclass(frozen=True, slots=True)
class Request:
    """What of a request decides.

    Attributes
    ----------
    method, path
        As sent; a WebSocket has the method ``WEBSOCKET``.
    headers
        By lower-case name.
    client
        Address of the other side.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    client: str


@dataclass(frozen=True)
class Access:
    """The rules.

    Parameters
    ----------
    token
        Knows the token.
    origins
        Other sites that may ask, such as ``https://radio.example``: also the names of a proxy.
    requests
        How many requests a client may make.
    guesses
        How many wrong tokens a client may send.
    """

    token: TokenCheck
    origins: Sequence[str] = ()
    requests: RateLimit = field(default_factory=lambda: RateLimit(600, 100))
    guesses: RateLimit = field(default_factory=lambda: RateLimit(10, 1 / 30))

    def check(self, request: Request, now: float, wall: float) -> None:
        """Let a request pass.

        Parameters
        ----------
        request
            The request.
        now, wall
            The time by a steady clock, and in seconds since 1970.

        Raises
        ------
        Problem
            It may not.
        """
        self._check_rate(request, now)
        self._check_host(request)
        self._check_origin(request)
        needs = request.path.startswith("/api/") or request.path == "/metrics"
        if self.token.is_set and needs and request.path not in _OPEN:
            self.require_token(request, now, wall)

    def _check_rate(self, request: Request, now: float) -> None:
        wait = self.requests.take(request.client, now)
        if wait:
            detail = f"More than {self.requests.per_second:g} requests a second came from you."
            raise _too_many(wait, detail)

    def _check_host(self, request: Request) -> None:
        """Without a token, take no names but our own: a page elsewhere may give itself one."""
        host = request.headers.get("host", "")
        if self.token.is_set or _host_name(host) in LOOPBACK:
            return
        if host not in {urlsplit(origin).netloc for origin in self.origins}:
            raise Problem("wrong-host", f"You asked {host[:100]!r}.")

    def _check_origin(self, request: Request) -> None:
        if request.method in _SAFE:
            return
        origin = request.headers.get("origin")
        if origin is None:
            site = request.headers.get("sec-fetch-site", "none")
            if site not in ("none", "same-origin"):
                raise Problem("cross-site", f"Sec-Fetch-Site is {site[:40]!r}.")
        elif origin not in self.origins and urlsplit(origin).netloc != request.headers.get("host"):
            raise Problem("cross-site", f"The request came from {origin[:100]!r}.")

    def require_token(self, request: Request, now: float, wall: float) -> None:
        """Let pass who has the token, or the cookie that is made from it.

        Raises
        ------
        Problem
            It is missing or wrong, or was guessed at too often.
        """
        authorization = request.headers.get("authorization")
        if authorization is None:
            if not self.token.accepts_cookie(cookie_of(request.headers.get("cookie")), wall):
                raise Problem("token-needed", headers={"WWW-Authenticate": "Bearer"})
            return
        self.check_guess(
            request.client, now, authorization.partition(" ")[2].strip(), authorization
        )

    def check_guess(
        self, client: str, now: float, candidate: str, authorization: str | None = None
    ) -> None:
        """Compare a token that a client sent, unless it sent too many wrong ones.

        Raises
        ------
        Problem
            It is wrong, or too many were.
        """
        wait = self.guesses.wait(client, now)
        if wait:
            raise _too_many(wait, "Too many wrong tokens came from you.")
        right = self.token.bears(authorization) if authorization else self.token.is_right(candidate)
        if not right:
            self.guesses.take(client, now)
            raise Problem("token-wrong", headers={"WWW-Authenticate": "Bearer"})

    def has_token(self, request: Request, wall: float) -> bool:
        """Tell whether a request has the token or its cookie."""
        return self.token.bears(request.headers.get("authorization")) or (
            self.token.accepts_cookie(cookie_of(request.headers.get("cookie")), wall)
        )


def cookie_of(header: str | None) -> str | None:
    """Return the value of our cookie."""
    try:
        morsel = SimpleCookie(header or "").get(COOKIE)
    except CookieError:
        return None
    return morsel.value if morsel else None


def _host_name(host: str) -> str:
    """Return a host without its port.

    >>> _host_name("[::1]:80"), _host_name("localhost:80")
    ('::1', 'localhost')
    """
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()


def _too_many(seconds: float, detail: str) -> Problem:
    return Problem("too-many", detail, headers={"Retry-After": str(max(1, round(seconds)))})
