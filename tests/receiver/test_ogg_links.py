"""Where the links of an Ogg chain begin and end."""

import struct

import pytest

from services.receiver.ogg_links import LinkSplitter, Piece

BEGINS, ENDS = 2, 4


def page(serial: int, flags: int = 0, body: bytes = b"audio") -> bytes:
    head = struct.pack("<4sBBqIIIB", b"OggS", 0, flags, 0, serial, 0, 0, 1)
    return head + bytes([len(body)]) + body


def borders(pieces: list[Piece]) -> list[tuple[bool, bool]]:
    return [(piece.begins, piece.ends) for piece in pieces if piece.begins or piece.ends]


ENDED = page(1, BEGINS) + page(1) + page(1, ENDS)
CUT = page(1, BEGINS) + page(1)
TWO_STREAMS = page(1, BEGINS) + page(2, BEGINS) + page(1) + page(1, ENDS) + page(2) + page(2, ENDS)
NEXT = page(9, BEGINS) + page(9) + page(9, ENDS)


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        (ENDED, [(False, True), (True, False), (False, True)]),
        (CUT, [(True, False), (False, True)]),
        (TWO_STREAMS, [(False, True), (True, False), (False, True)]),
    ],
    ids=["ended", "cut", "two streams"],
)
@pytest.mark.parametrize("size", [1, 30, 10_000])
def test_links_begin_and_end(first: bytes, expected: list[tuple[bool, bool]], size: int) -> None:
    splitter, data = LinkSplitter(), first + NEXT
    pieces = [p for at in range(0, len(data), size) for p in splitter.feed(data[at : at + size])]
    assert b"".join(piece.data for piece in pieces) == data
    assert borders(pieces) == expected
