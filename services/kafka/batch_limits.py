"""Batches of records within limits: a few kilobytes of zstd can hold a gigabyte of zeros.

aiokafka decompresses a batch whole, whatever comes out. Here it is decompressed into a buffer of
the largest size that is taken, and what does not fit, or is damaged, becomes one record that says
so.
"""

import mmap
import struct
import zlib
from collections.abc import Callable
from typing import Final

import cramjam

from schemas.errors import MessageTooLarge

#: A batch may decompress to so many bytes; a topic takes 5 MB of one, compressed.
MAX_BATCH_BYTES: Final = 32 * 1024 * 1024
#: Messages in a batch: of a feature vector each, a batch of Kafka's usual 16 kB holds ten.
MAX_BATCH_RECORDS: Final = 50_000
#: Bytes of a batch that cannot be read, as its letter has them.
_KEPT: Final = 1024
_HEAD_BYTES: Final = 61
_ATTRIBUTES: Final = 22
_CODEC: Final = 0x07
_FAULTS: Final = (ValueError, EOFError, zlib.error, struct.error, cramjam.DecompressionError)
_XERIAL: Final = b"\x82SNAPPY\x00"
_XERIAL_HEAD: Final = 16


class Unreadable(bytes):
    """The beginning of a batch that is not read.

    Attributes
    ----------
    fault
        Why.
    """

    fault: MessageTooLarge


def unreadable(data: memoryview, messages: int, why: str) -> Unreadable:
    """Return what stands for messages of a batch that cannot be read."""
    value = Unreadable(data[:_KEPT])
    value.fault = MessageTooLarge(f"{messages} messages of one batch are left out: {why}")
    return value


def check_count(count: int) -> str | None:
    """Say why a batch of so many records is not read; ``None`` if it is."""
    if 0 <= count <= MAX_BATCH_RECORDS:
        return None
    return f"it says that it has {count}, at most {MAX_BATCH_RECORDS} are taken: send smaller ones"


def plain(data: memoryview) -> memoryview:
    """Return a batch, its head included, with its records decompressed.

    Raises
    ------
    ValueError
        It is too large, or does not decompress.
    """
    codec = data[_ATTRIBUTES] & _CODEC
    if not codec:
        return data
    if codec not in _CODECS:
        raise ValueError(f"there is no codec {codec}")
    # Takes memory where it is written alone.
    found = memoryview(mmap.mmap(-1, _HEAD_BYTES + MAX_BATCH_BYTES))
    try:
        size = _CODECS[codec](data[_HEAD_BYTES:], found[_HEAD_BYTES:])
    except _FAULTS as error:
        limit = f"{MAX_BATCH_BYTES >> 20} MiB"
        raise ValueError(f"it does not decompress within {limit}: {error}") from None
    found[:_HEAD_BYTES] = data[:_HEAD_BYTES]
    found[_ATTRIBUTES] &= ~_CODEC
    return found[: _HEAD_BYTES + size]


def _gzip(data: memoryview, into: memoryview) -> int:
    size, rest = 0, bytes(data)
    while rest:  # it may have several members
        decoder = zlib.decompressobj(wbits=31)
        found = decoder.decompress(rest, len(into) - size + 1)
        if not decoder.eof:
            raise ValueError("the gzip is larger, or cut off")
        into[size : size + len(found)] = found
        size, rest = size + len(found), decoder.unused_data
    return size


def _snappy(data: memoryview, into: memoryview) -> int:
    if bytes(data[: len(_XERIAL)]) != _XERIAL:
        return _snappy_block(data, into)
    size, place = 0, _XERIAL_HEAD
    while place < len(data):
        (length,) = struct.unpack_from(">i", data, place)
        if length < 0:
            raise ValueError(f"a snappy block has {length} bytes")
        place += 4
        size += _snappy_block(data[place : place + length], into[size:])
        place += length
    return size


def _snappy_block(data: memoryview, into: memoryview) -> int:
    size: int = cramjam.snappy.decompress_raw_len(data)
    if size > len(into):
        raise ValueError(f"a snappy block has {size} bytes")
    into[:size] = memoryview(cramjam.snappy.decompress_raw(data))
    return size


def _lz4(data: memoryview, into: memoryview) -> int:
    return int(cramjam.lz4.decompress_into(data, into))


def _zstd(data: memoryview, into: memoryview) -> int:
    return int(cramjam.zstd.decompress_into(data, into))


#: By Kafka's number of it.
_CODECS: Final[dict[int, Callable[[memoryview, memoryview], int]]] = {
    1: _gzip,
    2: _snappy,
    3: _lz4,
    4: _zstd,
}
