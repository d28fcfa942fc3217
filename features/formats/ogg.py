"""Walk over the pages of Ogg (RFC 3533): each link of a chain is a part of its own.

libsndfile hears the first link alone, and no FLAC in Ogg, which is taken out of its pages here.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from features.formats.parts import UNKNOWN, Fault, Part, Survey
from features.formats.signatures import other_container
from features.formats.spliced import Piece, Source, piece, read_at, splice
from features.formats.tags import after_tag

_HEADER_BYTES: Final = 27
_FIRST_PAGE: Final = 0x02
_MAGIC: Final = b"OggS\0"
_BLOCK: Final = 1 << 16
#: First packets, by what is in the stream.
_CODECS: Final = (
    (b"\x01vorbis", "vorbis"),
    (b"OpusHead", "opus"),
    (b"\x7fFLAC", "flac"),
    (b"Speex   ", "speex"),
)
#: What stands before the native FLAC in the first packet: the name, version and number of headers.
_FLAC_IN_OGG: Final = 9


@dataclass(frozen=True, slots=True)
class Page:
    """A page.

    Attributes
    ----------
    start, body, end
        Of its header, of its content, and behind it.
    serial
        Which stream it belongs to.
    is_first
        Whether a stream begins with it.
    number
        In its stream.
    """

    start: int
    body: int
    end: int
    serial: int
    is_first: bool
    number: int


@dataclass(slots=True)
class _Link:
    """A link of a chain: the streams that begin together."""

    pages: list[Page] = field(default_factory=list)
    is_open: bool = True


def walk_ogg(source: Source, position: int, end: int, survey: Survey) -> int:
    """Note the links of an Ogg; return where it ends."""
    link = _Link()
    place = position
    for page in _pages(source, position, end, survey):
        if page.is_first and not link.is_open:
            _note_link(source, link, end, survey)
            link = _Link()
        link.is_open = link.is_open and page.is_first
        link.pages.append(page)
        place = page.end
    if link.pages:
        _note_link(source, link, end, survey)
    if link.pages and place < end and read_at(source, place, len(_MAGIC)) == _MAGIC:
        stop = other_container(source, place + 1, end)
        survey.faults.append(Fault(place, stop - place, "a page of Ogg that is cut off"))
        place = stop
    return max(place, position + len(_MAGIC))


def _pages(source: Source, position: int, end: int, survey: Survey) -> Iterator[Page]:
    """Yield pages up to another container or the end; what is between them is left out."""
    while position < end:
        page = _page(source, position, end)
        if page:
            yield page
            position = page.end
            continue
        behind = after_tag(source, position, end)
        found = behind if behind > position else _next_page(source, position, end)
        if found is None:
            return
        survey.faults.append(Fault(position, found - position, "what is no page of Ogg"))
        position = found


def _page(source: Source, position: int, end: int) -> Page | None:
    header = read_at(source, position, _HEADER_BYTES)
    if len(header) < _HEADER_BYTES or not header.startswith(_MAGIC):
        return None
    lengths = source.read(header[-1])
    body = position + _HEADER_BYTES + header[-1]
    stop = body + sum(lengths)
    serial, number = (
        int.from_bytes(header[14:18], "little"),
        int.from_bytes(header[18:22], "little"),
    )
    if len(lengths) < header[-1] or stop > end:
        return None
    return Page(position, body, stop, serial, bool(header[5] & _FIRST_PAGE), number)


def _next_page(source: Source, position: int, end: int) -> int | None:
    """Find the next page, before another container begins."""
    limit = other_container(source, position + 1, end)
    start = position + 1
    while start < limit:
        data = read_at(source, start, min(_BLOCK, limit - start + len(_MAGIC)))
        found = data.find(_MAGIC)
        if found >= 0 and start + found < end and _page(source, start + found, end):
            return start + found
        start += found + 1 if found >= 0 else max(1, len(data) - len(_MAGIC))
    is_page = limit < end and read_at(source, limit, len(_MAGIC)) == _MAGIC
    return limit if is_page and _page(source, limit, end) else None


def _note_link(source: Source, link: _Link, end: int, survey: Survey) -> None:
    """Note the audio of a link as a part."""
    first, codec = _audio(source, link)
    pages = [page for page in link.pages if page.serial == first.serial]
    start = link.pages[0].start
    _note_lost_pages(pages, survey)
    if codec == "flac":
        survey.parts.append(Part("flac", _native_flac(source, pages), start, UNKNOWN))
        return
    is_whole = start == 0 and link.pages[-1].end == end and pages == link.pages
    is_whole = is_whole and all(a.end == b.start for a, b in itertools.pairwise(pages))
    whole = source if is_whole else splice(_joined(source, [(p.start, p.end) for p in pages]))
    if codec == "speex" or not codec:
        survey.parts.append(Part(codec or "ogg", whole, start, decoder="ffmpeg", demuxer="ogg"))
    else:
        survey.parts.append(Part("ogg", whole, start, UNKNOWN))


def _audio(source: Source, link: _Link) -> tuple[Page, str]:
    """Return the first page of the audio of a link, and what encoded it."""
    for page in link.pages:
        head = read_at(source, page.body, 8)
        for magic, name in _CODECS:
            if head.startswith(magic):
                return page, name
        if not page.is_first:
            break
    return link.pages[0], ""


def _note_lost_pages(pages: list[Page], survey: Survey) -> None:
    for page, following in itertools.pairwise(pages):
        lost = following.number - page.number - 1
        if lost > 0:
            survey.faults.append(Fault(page.end, 0, f"{lost} page(s) of Ogg are missing here"))


def _native_flac(source: Source, pages: list[Page]) -> Source:
    """Take FLAC out of its pages: the packets of a stream, one after the other, are a FLAC file."""
    spans = [(page.body, page.end) for page in pages]
    spans[0] = spans[0][0] + _FLAC_IN_OGG, spans[0][1]
    return splice(_joined(source, spans))


def _joined(source: Source, spans: list[tuple[int, int]]) -> Iterator[Piece]:
    """Yield spans as pieces, those that touch each other as one."""
    if not spans:
        yield piece(b"")
        return
    start, stop = spans[0]
    for begin, end in spans[1:]:
        if begin != stop:
            yield Piece(source, start, stop - start)
            start = begin
        stop = end
    yield Piece(source, start, stop - start)
