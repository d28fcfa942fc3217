"""Reading HLS: the playlist again and again, and the segments that are new in it."""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from services.receiver.hls import (
    MAX_MEDIA_PLAYLIST_BYTES,
    MAX_SEGMENT_BYTES,
    MediaPlaylist,
    Part,
    Segment,
    parse_media_playlist,
    segment_titles,
    without_tags,
)
from services.receiver.ogg_links import Piece
from services.receiver.playlists import decode_playlist
from services.receiver.reasons import SourceFailed, failed
from services.receiver.source_http import Request, fetch

#: A segment that is gone meanwhile is left out; so many in a row are a fault.
_MAX_GONE: Final = 3
_SHORTEST_WAIT: Final = 0.5


@dataclass
class Hls:
    """The segments of a media playlist, one after the other.

    Parameters
    ----------
    request
        Whose headers are sent.
    url
        Of the media playlist.

    Attributes
    ----------
    received
        Bytes so far.
    titles
        That came since they were taken.
    """

    request: Request
    url: str
    received: int = 0
    titles: list[str] = field(default_factory=list)
    _playlist: MediaPlaylist | None = None
    _next: int | None = None
    _waiting: deque[Segment] = field(default_factory=deque)
    _header: Part | None = None
    _breaks: bool = False
    _gone: int = 0

    async def open(self) -> str | None:
        """Read the playlist for the first time; return how it is encrypted, ``None`` if it is not.

        Raises
        ------
        SourceFailed
            It has no segments, or does not come.
        """
        self._playlist = await self._load()
        if not self._playlist.segments:
            raise failed("bad-playlist")
        return self._playlist.encrypted

    async def read(self) -> bytes:
        """Return the next segment, with what a decoder needs before it; empty at the end.

        Raises
        ------
        SourceFailed
            It does not come.
        """
        while True:
            segment = await self._following()
            if segment is None:
                return b""
            try:
                data = await self._get(segment.part)
            except SourceFailed as error:
                self._leave_out(error)
                continue
            self._gone = 0
            self.titles += segment_titles(data)
            self._breaks |= segment.breaks
            return await self._with_header(segment, without_tags(data))

    async def _with_header(self, segment: Segment, data: bytes) -> bytes:
        if segment.header is None or (segment.header == self._header and not self._breaks):
            return data
        self._breaks |= self._header is not None
        self._header = segment.header
        return await self._get(segment.header) + data

    def _leave_out(self, error: SourceFailed) -> None:
        """Go on without a segment that is no longer there; its time is missing."""
        self._gone += 1
        if error.reason.code not in ("not-found", "gone") or self._gone >= _MAX_GONE:
            raise error
        self._breaks = True

    async def _following(self) -> Segment | None:
        """Return the next segment; waits for it as long as the stream goes on."""
        while not self._waiting:
            playlist = self._playlist
            if playlist is None:
                playlist = await self._load()
            self._playlist = None
            found = playlist.following(self._next)
            if found:
                self._waiting.extend(found)
                self._next = found[-1].sequence + 1
            elif playlist.ended:
                return None
            else:
                await asyncio.sleep(max(_SHORTEST_WAIT, playlist.target_seconds / 2))
        return self._waiting.popleft()

    async def _load(self) -> MediaPlaylist:
        body = await fetch(self.request, self.url, MAX_MEDIA_PLAYLIST_BYTES, None)
        self.received += len(body)
        text = decode_playlist(body)
        if "#EXTM3U" not in text[:20]:
            raise failed("bad-playlist", "it does not begin with #EXTM3U")
        # In a thread: 4 MB of lines take seconds, and other stations are to be heard meanwhile.
        return await asyncio.to_thread(parse_media_playlist, text, self.url)

    async def _get(self, part: Part) -> bytes:
        data = await fetch(self.request, part.url, MAX_SEGMENT_BYTES, part.span)
        self.received += len(data)
        return data

    def feed(self, data: bytes) -> list[Piece]:
        """Say where a decoder of its own is needed: behind a break, or a new header."""
        breaks, self._breaks = self._breaks, False
        return [Piece(data, begins=breaks)]

    def take_title(self) -> str | None:
        """Titles are in `titles`."""
        return None
