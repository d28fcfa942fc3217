import pytest

from services.gateway.access import Access, Request
from services.gateway.limits import RateLimit
from services.gateway.problems import Problem
from services.gateway.tokens import COOKIE_SECONDS, TokenCheck

TOKEN = "a-secret-of-some-length"  # noqa: S105 - of this test


def request(
    method: str = "GET", path: str = "/api/now", host: str = "localhost:8350", **headers: str
) -> Request:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request(method, path, {"host": host, **given}, "10.0.0.9")


def code(access: Access, asked: Request) -> str | None:
    try:
        access.check(asked, 0.0, 1000.0)
    except Problem as problem:
        return problem.code
    return None


def test_without_a_token_our_own_names_are_taken_alone() -> None:
    access = Access(TokenCheck(None), ("https://radio.example",))
    assert code(access, request()) is None
    assert code(access, request(host="127.0.0.1:9")) is None
    assert code(access, request(host="[::1]:9")) is None
    assert code(access, request(host="radio.example")) is None
    assert code(access, request(host="evil.example")) == "wrong-host"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "WEBSOCKET"])
def test_another_site_may_not_write(method: str) -> None:
    access = Access(TokenCheck(None))
    assert code(access, request(method, origin="http://evil.example")) == "cross-site"
    assert code(access, request(method, origin="null")) == "cross-site"
    assert code(access, request(method, sec_fetch_site="cross-site")) == "cross-site"
    assert code(access, request(method, origin="http://localhost:8350")) is None
    assert code(access, request(method)) is None


def test_the_token_or_its_cookie_is_needed() -> None:
    token = TokenCheck(TOKEN)
    access = Access(token)
    assert code(access, request()) == "token-needed"
    assert code(access, request(path="/metrics")) == "token-needed"
    assert code(access, request(path="/style.css")) is None
    assert code(access, request(authorization=f"Bearer {TOKEN}")) is None
    assert code(access, request(cookie=f"genrestream={token.cookie(1000.0)}")) is None
    assert code(access, request(authorization="Bearer wrong")) == "token-wrong"
    assert code(access, request(authorization=f"Basic {TOKEN}")) == "token-wrong"


def test_guessing_ends_even_with_the_right_token() -> None:
    access = Access(TokenCheck(TOKEN))
    codes = [code(access, request(authorization=f"Bearer {n}")) for n in range(12)]
    assert codes == ["token-wrong"] * 10 + ["too-many"] * 2
    assert code(access, request(authorization=f"Bearer {TOKEN}")) == "too-many"


def test_a_cookie_ends_and_cannot_be_made_without_the_token() -> None:
    token = TokenCheck(TOKEN)
    cookie = token.cookie(1000.0)
    assert TOKEN not in cookie
    assert token.accepts_cookie(cookie, 1000.0)
    assert not token.accepts_cookie(cookie, 1001.0 + COOKIE_SECONDS)
    assert not TokenCheck("another-secret-of-ours").accepts_cookie(cookie, 1000.0)
    later = str(int(cookie.partition(".")[0]) + 1)
    assert not token.accepts_cookie(f"{later}.{cookie.partition('.')[2]}", 1000.0)
    for forged in ("", ".", "1.", "x.y", "²." + "0" * 64, "9" * 400 + ".00"):
        assert not token.accepts_cookie(forged, 1000.0)


def test_a_client_has_a_burst_and_then_a_rate_and_others_are_unharmed() -> None:
    limit = RateLimit(burst=3, per_second=2)
    assert [limit.take("a", 0.0) for _ in range(3)] == [0, 0, 0]
    assert limit.take("a", 0.0) == pytest.approx(0.5)
    assert limit.take("b", 0.0) == 0
    assert limit.take("a", 0.5) == 0


def test_clients_that_are_remembered_are_bounded() -> None:
    limit = RateLimit(1, 1)
    for number in range(10_050):
        limit.take(str(number), 0.0)
    assert len(limit._buckets) == 10_000
