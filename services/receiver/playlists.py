"""Lists of streams: pls, m3u, and the master playlists of HLS; OPML for import."""

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal
from urllib.parse import urljoin
from xml.etree import ElementTree

MAX_PLAYLIST_BYTES: Final = 1024 * 1024
_MAX_ENTRIES: Final = 10_000
_BANDWIDTH: Final = re.compile(r"[:,]\s*BANDWIDTH=(\d{1,12})")
_FILE: Final = re.compile(r"^(file|title)(\d{1,5})\s*=\s*(.+)$", re.IGNORECASE)

PlaylistKind = Literal["pls", "m3u", "hls"]


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a list: an address, and what it is called."""

    url: str
    title: str = ""


def playlist_kind(start: bytes, content_type: str = "") -> PlaylistKind | None:
    """Tell which kind of list a body is by its first bytes, else by its type.

    >>> playlist_kind(b"[playlist]"), playlist_kind(b"#EXTM3U"), playlist_kind(b"ID3")
    ('pls', 'm3u', None)
    """
    text = start.lstrip(b"\xef\xbb\xbf \r\n\t")
    if text[:10].lower() == b"[playlist]":
        return "pls"
    if text.startswith(b"#EXTM3U"):
        return "hls" if b"#EXT-X-" in start else "m3u"
    kind = content_type.partition(";")[0].strip().lower()
    if kind in ("audio/x-scpls", "application/pls+xml"):
        return "pls"
    if kind in ("audio/x-mpegurl", "audio/mpegurl") and text[:4].lower() in (b"http", b"#ext"):
        return "m3u"
    return None


def decode_playlist(body: bytes) -> str:
    """Read the bytes of a list as UTF-8, else as Latin-1."""
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        return body.decode("latin-1")


def parse_pls(text: str) -> list[Entry]:
    """Read a pls file in the order of its numbers.

    >>> parse_pls("[playlist]\\nFile1=http://a/\\nTitle1=A\\n")
    [Entry(url='http://a/', title='A')]
    """
    urls, titles = dict[int, str](), dict[int, str]()
    for line in text.splitlines()[: 4 * _MAX_ENTRIES]:
        if found := _FILE.match(line.strip()):
            key, number, value = found.groups()
            (urls if key.lower() == "file" else titles)[int(number)] = value.strip()
    return [Entry(urls[n], titles.get(n, "")) for n in sorted(urls)[:_MAX_ENTRIES]]


def parse_m3u(text: str) -> list[Entry]:
    """Read an m3u file, extended or not."""
    entries, title = list[Entry](), ""
    for line in (line.strip() for line in text.lstrip("\ufeff").splitlines()):
        if line.startswith("#EXTINF:"):
            title = line.partition(",")[2].strip()
        elif line and not line.startswith("#"):
            entries.append(Entry(line, title))
            title = ""
    return entries[:_MAX_ENTRIES]


def parse_playlist(text: str, kind: PlaylistKind) -> list[Entry]:
    """Read a list of streams."""
    return parse_pls(text) if kind == "pls" else parse_m3u(text)


def cheapest_variant(text: str, base: str) -> str | None:
    """Return the address of the variant with the lowest bandwidth; ``None`` of a media playlist."""
    lines = [line.strip() for line in text.splitlines()]
    variants = list[tuple[int, str]]()
    for line, following in pairwise(lines):
        if line.startswith("#EXT-X-STREAM-INF") and following and not following.startswith("#"):
            found = _BANDWIDTH.search(line)
            variants.append((int(found.group(1)) if found else 2**40, following))
    return urljoin(base, min(variants)[1]) if variants else None


def parse_opml(text: str) -> list[Entry]:
    """Read the outlines of an OPML file that have an address.

    Raises
    ------
    ValueError
        Not XML, or with entities of its own, which may grow without limit.
    """
    if "<!ENTITY" in text or "<!DOCTYPE" in text:
        raise ValueError("the OPML file defines entities: remove its DOCTYPE")
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 - without entities, see above
    except ElementTree.ParseError as error:
        raise ValueError(f"not an OPML file: {error}") from error
    entries = list[Entry]()
    for outline in root.iter("outline"):
        url = outline.get("URL") or outline.get("url") or outline.get("xmlUrl")
        if url:
            entries.append(Entry(url, outline.get("text") or outline.get("title") or ""))
    return entries
