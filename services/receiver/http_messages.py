"""HTTP/1 and ICY answers, as far as streams need it; everything is bounded."""

import base64
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote, urlsplit

from services.receiver.reasons import failed

MAX_HEAD_BYTES: Final = 64 * 1024
_MAX_FIELDS: Final = 200
_MAX_COOKIES: Final = 20
_REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))


@dataclass(frozen=True, slots=True)
class Head:
    """Status and fields of an answer.

    Attributes
    ----------
    status
        Such as 200.
    fields
        By their names in lower case; of several the last, but all cookies in ``cookies``.
    cookies
        ``name=value`` of each cookie that is set.
    """

    status: int
    fields: dict[str, str]
    cookies: tuple[str, ...] = ()

    def get(self, name: str) -> str:
        """Return a field, or an empty text."""
        return self.fields.get(name, "")

    @property
    def redirects(self) -> bool:
        """Whether it names another address."""
        return self.status in _REDIRECTS and bool(self.get("location"))


def parse_head(data: bytes) -> Head:
    """Read a head up to its empty line: of HTTP, or ``ICY 200 OK`` of Shoutcast.

    Raises
    ------
    SourceFailed
        It is neither.
    """
    lines = data.replace(b"\r\n", b"\n").split(b"\n")
    words = lines[0].split(None, 2)
    is_known = len(words) >= 2 and (words[0].startswith(b"HTTP/1.") or words[0] == b"ICY")
    if not is_known or not words[1].isdigit() or len(words[1]) != 3:
        raise failed("bad-answer", f"it begins with {data[:16]!r}")
    if len(lines) > _MAX_FIELDS:
        raise failed("bad-answer", f"more than {_MAX_FIELDS} header fields")
    fields, cookies = dict[str, str](), list[str]()
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        if not colon:
            continue
        key, text = name.strip().decode("latin-1").lower(), value.strip().decode("latin-1")
        if key == "set-cookie":
            cookies.append(text.partition(";")[0].strip())
        else:
            fields[key] = text
    return Head(int(words[1]), fields, tuple(cookies[:_MAX_COOKIES]))


def request_bytes(
    url: str, headers: dict[str, str], user_agent: str, cookies: tuple[str, ...] = ()
) -> bytes:
    """Write the request for a stream, that asks for titles and no compression."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    fields = {
        "Host": host,
        "User-Agent": user_agent,
        "Accept": "*/*",
        "Accept-Encoding": "identity",
        "Icy-MetaData": "1",
        "Connection": "close",
    }
    if parts.username is not None:
        secret = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        fields["Authorization"] = "Basic " + base64.b64encode(secret).decode()
    if cookies:
        fields["Cookie"] = "; ".join(cookies)
    fields.update(headers)
    lines = [
        f"GET {_ascii(target)} HTTP/1.1",
        *(f"{name}: {text}" for name, text in fields.items()),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


def _ascii(target: str) -> str:
    return "".join(
        c if "!" <= c <= "~" else "".join(f"%{b:02X}" for b in c.encode()) for c in target
    )


@dataclass
class Dechunker:
    """Takes the body out of HTTP's chunked transfer; holds one line of at most 100 bytes."""

    _left: int = 0
    _line: bytearray = field(default_factory=bytearray)
    ended: bool = False
    _MAX_LINE = 100

    def feed(self, data: bytes) -> bytes:
        """Return the body's part of some bytes.

        Raises
        ------
        SourceFailed
            Not chunked.
        """
        body, place = bytearray(), 0
        while place < len(data) and not self.ended:
            if self._left:
                part = data[place : place + self._left]
                body += part
                self._left -= len(part)
                place += len(part)
                continue
            end = data.find(b"\n", place)
            stop = len(data) if end < 0 else end
            self._line += data[place:stop]
            place = stop + 1
            if len(self._line) > self._MAX_LINE:
                raise failed("bad-answer", "a line of its chunked transfer has no end")
            if end >= 0:
                self._begin_chunk()
        return bytes(body)

    def _begin_chunk(self) -> None:
        text = bytes(self._line).partition(b";")[0].strip()
        self._line.clear()
        if not text:  # the empty line behind a chunk
            return
        try:
            self._left = int(text, 16)
        except ValueError as error:
            raise failed("bad-answer", "its chunked transfer has no length") from error
        if self._left < 0 or self._left > 2**40:
            raise failed("bad-answer", "a chunk of its transfer is too long")
        self.ended = self._left == 0
