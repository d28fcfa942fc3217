"""Sound FLACs of one or two channels, compiled: in less than two thirds of dr_flac's time.

Follows RFC 9639. Whatever is not as it should be gives no samples at all: the slower decoders say
what is wrong. Bits of a residual are taken from a 64-bit word, and each is added to its prediction
at once, so that the processor works on the next code meanwhile.
"""

from functools import cache
from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from features.compiled import Float32s, function, kernel

#: Zeros that must follow the data: a word is read where it may have ended.
PADDING: Final = 256
#: Channels at most.
MAX_CHANNELS: Final = 2

_DATA: Final = types.Array(types.uint8, 1, "C", readonly=True)
_CRCS: Final = types.Array(types.uint16, 2, "C", readonly=True)
_NUMBERS: Final = types.Array(types.int64, 1, "C", readonly=True)
_WORK: Final = types.int64[::1]
#: Bits of a word that are there after reading it at any bit.
_SURE: Final = 57
_POLYNOMIAL: Final = 0x8005
_SLICES: Final = 8
_MAX_FIXED: Final = 4
#: Up to this order the predictor is written out.
_SHORT: Final = 8
_MAX_ORDER: Final = 32
#: numba's integers; Python's own would be mixed with them as floats.
_word: Any = np.uint64
_signed: Any = np.int64
_1, _2, _3, _4, _5, _6, _7, _8, _64 = map(_word, (1, 2, 3, 4, 5, 6, 7, 8, 64))
_BAD: Final = -1


def _zeros(context: Any, word: Any) -> Any:  # noqa: ARG001
    """Count the zeros before the first bit that is set; 64 where none is."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        return builder.ctlz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), build


_leading_zeros: Any = intrinsic(_zeros)


@cache
def checksums() -> NDArray[np.uint16]:
    """Return the checksum of each byte with so many zeros behind it [shape=(8, 256), uint16]."""
    crc = np.arange(256, dtype=np.uint32) << 8
    for _ in range(8):
        crc = crc << 1 ^ np.where(crc & 0x8000, _POLYNOMIAL, 0)
        crc &= 0xFFFF
    tables = [crc]
    for _ in range(_SLICES - 1):
        last = tables[-1]
        tables.append((last << 8 & 0xFFFF) ^ crc[last >> 8])
    return np.array(tables, np.uint16)


@cache
def sample_rates() -> NDArray[np.int64]:
    """Return the rates of a frame's head in Hz, by their number [shape=(12,)]."""
    of_1000 = (0, 88.2, 176.4, 192, 8, 16, 22.05, 24, 32, 44.1, 48, 96)
    return np.array([round(1000 * rate) for rate in of_1000], np.int64)


@cache
def sample_depths() -> NDArray[np.int64]:
    """Return the bits of a sample in a frame's head, by their number [shape=(8,)]."""
    return np.array([0, 8, 12, -1, 16, 20, 24, 32], np.int64)


@function(types.uint64(_DATA, types.int64))
def word_at(data: NDArray[np.uint8], bit: int) -> Any:
    """Return the 57 bits or more from a bit on, the first of them highest."""
    at = _word(bit >> 3)
    word = _word(data[at]) << _word(56)
    word |= _word(data[at + _word(1)]) << _word(48)
    word |= _word(data[at + _word(2)]) << _word(40)
    word |= _word(data[at + _word(3)]) << _word(32)
    word |= _word(data[at + _word(4)]) << _word(24)
    word |= _word(data[at + _word(5)]) << _word(16)
    word |= _word(data[at + _word(6)]) << _word(8)
    word |= _word(data[at + _word(7)])
    return word << _word(bit & 7)


@function(types.int64(_DATA, types.int64, types.int64))
def unsigned_at(data: NDArray[np.uint8], bit: int, count: int) -> Any:
    """Return a number of 0 to 57 bits."""
    return _signed(word_at(data, bit) >> _word(1) >> _word(63 - count))


@function(types.int64(_DATA, types.int64, types.int64))
def signed_at(data: NDArray[np.uint8], bit: int, count: int) -> int:
    """Return a number of 0 to 57 bits in two's complement."""
    number = unsigned_at(data, bit, count)
    return number - ((number >> (count - 1)) << count) if count else 0


@function(types.int64(_DATA, types.int64, types.int64, _CRCS))
def checksum(data: NDArray[np.uint8], begin: int, end: int, crcs: NDArray[np.uint16]) -> Any:
    """Return the checksum of bytes: 0 for a frame with its own behind it."""
    crc = _word(0)
    low = _word(255)
    i = begin
    while i + _SLICES <= end:
        a = _word(i)
        crc = (
            _word(crcs[7, _word(data[a]) ^ (crc >> _word(8))])
            ^ _word(crcs[6, _word(data[a + _word(1)]) ^ (crc & low)])
            ^ _word(crcs[5, _word(data[a + _word(2)])])
            ^ _word(crcs[4, _word(data[a + _word(3)])])
            ^ _word(crcs[3, _word(data[a + _word(4)])])
            ^ _word(crcs[2, _word(data[a + _word(5)])])
            ^ _word(crcs[1, _word(data[a + _word(6)])])
            ^ _word(crcs[0, _word(data[a + _word(7)])])
        )
        i += _SLICES
    while i < end:
        top = _word(data[_word(i)]) ^ (crc >> _word(8))
        crc = (crc << _word(8) & _word(0xFFFF)) ^ _word(crcs[0, top])
        i += 1
    return _signed(crc)


@function(types.int64(_DATA, types.int64, types.int64, types.int64))
def long_code(data: NDArray[np.uint8], bit: int, low_bits: int, end: int) -> Any:
    """Return where a Rice code of any length has its 1; -1 where there is none before the end."""
    while bit + low_bits < end:
        zeros = _signed(_leading_zeros(word_at(data, bit)))
        if zeros < _SURE:
            return bit + zeros
        bit += _SURE
    return _BAD


@function(types.int64(_DATA, *[types.int64] * 6, _WORK, _WORK))
def add_codes(
    data: NDArray[np.uint8],
    bit: int,
    end: int,
    first: int,
    stop: int,
    low_bits: int,
    shift: int,
    weights: NDArray[np.int64],
    out: NDArray[np.int64],
) -> Any:
    """Read Rice codes, and add each to what is predicted from the eight samples before it.

    Parameters
    ----------
    data, bit, end, shift, weights, out
        As `predicted` takes them.
    first, stop
        The first of these samples, and the one behind the last.
    low_bits
        Bits of a code behind its 1.

    Returns
    -------
    The bit behind the codes; -1 where one has no end.
    """
    a, b, c, d = weights[0], weights[1], weights[2], weights[3]
    e, f, g, h = weights[4], weights[5], weights[6], weights[7]
    latest = out[_SHORT + first - 1]
    n, last, at = _word(first), _word(stop), _word(bit)
    low, behind, high = _word(low_bits), _word(low_bits + 1), _word(63 - low_bits)
    word, there = _word(0), _word(0)
    while n < last:
        zeros = _leading_zeros(word)
        if zeros + behind > there:
            word, there = word_at(data, _signed(at)), _64 - (at & _7)
            zeros = _leading_zeros(word)
            if zeros + behind > there:
                one = long_code(data, _signed(at), low_bits, end)
                if one < 0:
                    return _BAD
                number = (one - _signed(at)) << low_bits
                number |= unsigned_at(data, one + 1, low_bits)
                total = a * latest
                for j in range(1, _SHORT):
                    total += weights[j] * out[n + _7 - _word(j)]
                latest = ((number >> 1) ^ -(number & 1)) + (total >> shift)
                out[n + _8] = latest
                n += _1
                word, there, at = _word(0), _word(0), _word(one) + behind
                continue
        rest = word << zeros << _1
        code = zeros << low | rest >> _1 >> high
        word = rest << low
        there -= zeros + behind
        at += zeros + behind
        residual = _signed(code >> _1) ^ -_signed(code & _1)
        total = (h * out[n] + g * out[n + _1]) + (f * out[n + _2] + e * out[n + _3])
        total += (d * out[n + _4] + c * out[n + _5]) + b * out[n + _6]
        latest = residual + (total + a * latest >> shift)
        out[n + _8] = latest
        n += _1
    return _signed(at)


@function(types.int64(_DATA, *[types.int64] * 6, _WORK, _WORK))
def add_numbers(
    data: NDArray[np.uint8],
    bit: int,
    end: int,
    first: int,
    stop: int,
    bits: int,
    shift: int,
    weights: NDArray[np.int64],
    out: NDArray[np.int64],
) -> int:
    """Read residuals that are not coded, of so many bits each; otherwise as `add_codes`."""
    for i in range(first, stop):
        total = 0
        for j in range(_SHORT):
            total += weights[j] * out[_SHORT + i - 1 - j]
        out[_SHORT + i] = signed_at(data, bit, bits) + (total >> shift)
        bit += bits
        if bit > end:
            return _BAD
    return bit


@function(types.int64(_DATA, *[types.int64] * 5, _WORK, _WORK))
def predicted(
    data: NDArray[np.uint8],
    bit: int,
    end: int,
    count: int,
    order: int,
    shift: int,
    weights: NDArray[np.int64],
    out: NDArray[np.int64],
) -> int:
    """Read residuals, and add each to what is predicted from the samples before it.

    Parameters
    ----------
    data, bit
        Where the residuals begin.
    end
        Bit behind the data.
    count
        Samples of the subframe.
    order, shift, weights
        The predictor: the weight of the latest sample first [shape=(8 or more,)].
    out
        The samples, behind eight others; so many as `order` says are there
        [shape=(8 + count or more,)].

    Returns
    -------
    The bit behind the residuals; -1 where they are not as they should be.
    """
    method, partitions = unsigned_at(data, bit, 2), unsigned_at(data, bit + 2, 4)
    bit += 6
    length = count >> partitions
    if method > 1 or length << partitions != count or length < order:
        return _BAD
    width = 4 + method
    i = _signed(order)
    for partition in range(1 << partitions):
        stop = (partition + 1) * length
        low_bits = unsigned_at(data, bit, width)
        bit += width
        if low_bits < (1 << width) - 1:
            bit = add_codes(data, bit, end, i, stop, low_bits, shift, weights, out)
        else:
            low_bits = unsigned_at(data, bit, 5)
            bit = add_numbers(data, bit + 5, end, i, stop, low_bits, shift, weights, out)
        i = stop
        if not 0 <= bit <= end:
            return _BAD
    return bit


@function(types.int64(_DATA, types.int64, types.int64, types.int64, types.int64, _WORK, _WORK))
def subframe(
    data: NDArray[np.uint8],
    bit: int,
    end: int,
    count: int,
    depth: int,
    weights: NDArray[np.int64],
    out: NDArray[np.int64],
) -> int:
    """Read the samples of a channel in a frame.

    Parameters
    ----------
    data, bit, end, count
        As `predicted` takes them.
    depth
        Bits of a sample.
    weights
        To work in, and eight zeros behind it [shape=(40,)].
    out
        The result, behind eight others [shape=(8 + count or more,)].

    Returns
    -------
    The bit behind it; -1 where it is not as it should be.
    """
    kind = unsigned_at(data, bit, 7)  # with the bit before it, which is 0
    has_wasted = unsigned_at(data, bit + 7, 1)
    bit += 8
    wasted = 0
    if has_wasted:
        wasted = _signed(_leading_zeros(word_at(data, bit))) + 1
        bit += wasted
    bits = depth - wasted
    if bits < 1 or kind > 63:
        return _BAD
    if kind == 0:
        constant = signed_at(data, bit, bits)
        bit += bits
        for i in range(count):
            out[_SHORT + i] = constant
    elif kind == 1:
        for i in range(count):
            out[_SHORT + i] = signed_at(data, bit, bits)
            bit += bits
            if bit > end:
                return _BAD
    elif 8 <= kind <= 8 + _MAX_FIXED or kind >= 32:
        order = kind - 8 if kind < 32 else kind - 31
        if order > count:
            return _BAD
        for i in range(order):
            out[_SHORT + i] = signed_at(data, bit, bits)
            bit += bits
        for i in range(_MAX_ORDER):
            weights[i] = 0
        shift = 0
        if kind >= 32:
            precision = unsigned_at(data, bit, 4) + 1
            shift = signed_at(data, bit + 4, 5)
            bit += 9
            if precision > 15 or shift < 0:
                return _BAD
            for i in range(order):
                weights[i] = signed_at(data, bit, precision)
                bit += precision
        elif order == 1:
            weights[0] = 1
        elif order == 2:
            weights[0], weights[1] = 2, -1
        elif order == 3:
            weights[0], weights[1], weights[2] = 3, -3, 1
        elif order == 4:
            weights[0], weights[1], weights[2], weights[3] = 4, -6, 4, -1
        if bit > end:
            return _BAD
        if order <= _SHORT:
            bit = predicted(data, bit, end, count, order, shift, weights, out)
        else:
            bit = predicted(data, bit, end, count, order, 0, weights[_MAX_ORDER:], out)
            for i in range(order, count):
                total = 0
                for j in range(order):
                    total += weights[j] * out[_SHORT + i - 1 - j]
                out[_SHORT + i] += total >> shift
        if bit < 0:
            return _BAD
    else:
        return _BAD
    if bit > end:
        return _BAD
    beyond = 0
    for i in range(count):
        beyond |= out[_SHORT + i] ^ (out[_SHORT + i] >> 63)
        out[_SHORT + i] <<= wasted
    return bit if beyond < (1 << (bits - 1)) else _BAD


@function(types.int64(_DATA, types.int64, types.int64))
def frame_number(data: NDArray[np.uint8], bit: int, number: int) -> int:
    """Return the bit behind a frame's number, coded as UTF-8 is; -1 where it is another."""
    first = unsigned_at(data, bit, 8)
    bit += 8
    if first < 128:
        return bit if first == number else _BAD
    ones = _signed(_leading_zeros(~(_word(first) << _word(56))))
    if not 2 <= ones <= 6:
        return _BAD
    found = first & ((1 << (7 - ones)) - 1)
    for _ in range(ones - 1):
        more = unsigned_at(data, bit, 8)
        bit += 8
        if more >> 6 != 2:
            return _BAD
        found = found << 6 | (more & 63)
    return bit if found == number else _BAD


@kernel(
    _DATA,
    types.int64,
    types.int64,
    types.int64,
    types.int64,
    types.int64,
    _CRCS,
    _NUMBERS,
    _NUMBERS,
    types.float32[:, ::1],
    types.boolean[::1],
)
def decode_frames(
    data: NDArray[np.uint8],
    begin: int,
    size: int,
    block_size: int,
    sample_rate: int,
    depth: int,
    crcs: NDArray[np.uint16],
    rates: NDArray[np.int64],
    depths: NDArray[np.int64],
    out: Float32s,
    sound: NDArray[np.bool_],
) -> None:
    """Decode all frames of a FLAC.

    Parameters
    ----------
    data
        The file, with `PADDING` behind it [shape=(size + PADDING,)].
    begin, size
        Where its first frame begins, and how many bytes it has.
    block_size, sample_rate, depth
        What its head says.
    crcs, rates, depths
        As `checksums`, `sample_rates` and `sample_depths` return.
    out
        The samples, full scale at 1 [shape=(n, channels)].
    sound
        Becomes whether the frames are those that the head says, one after the other up to the end
        of the file, and all that they say is right [shape=(1,)].
    """
    count, channels = out.shape
    sound[0] = False
    rows = np.zeros((2, _SHORT + block_size), np.int64)
    weights = np.zeros(_MAX_ORDER + _SHORT, np.int64)
    scale = np.float32(1.0 / (1 << (depth - 1)))
    at, first, number, end = begin, 0, 0, 8 * size
    while first < count:
        bit = 8 * at
        if at + 6 > size or unsigned_at(data, bit, 16) != 0xFFF8:
            return
        size_code, rate_code = unsigned_at(data, bit + 16, 4), unsigned_at(data, bit + 20, 4)
        assignment, depth_code = unsigned_at(data, bit + 24, 4), unsigned_at(data, bit + 28, 3)
        if unsigned_at(data, bit + 31, 1):
            return
        bit = frame_number(data, bit + 32, number)
        if bit < 0:
            return
        if size_code == 0:
            return
        if size_code == 1:
            samples = _signed(192)
        elif size_code <= 5:
            samples = _signed(576) << (size_code - 2)
        elif size_code <= 7:
            width = 8 * (size_code - 5)
            samples = unsigned_at(data, bit, width) + 1
            bit += width
        else:
            samples = _signed(256) << (size_code - 8)
        if samples != min(block_size, count - first):
            return
        rate = _signed(sample_rate)
        if rate_code == 12:
            rate = 1000 * unsigned_at(data, bit, 8)
            bit += 8
        elif rate_code == 13:
            rate = unsigned_at(data, bit, 16)
            bit += 16
        elif rate_code == 14:
            rate = 10 * unsigned_at(data, bit, 16)
            bit += 16
        elif rate_code == 15:
            return
        elif rate_code:
            rate = rates[rate_code]
        if rate != sample_rate:
            return
        if depth_code and depths[depth_code] != depth:
            return
        bit += 8  # a checksum of this head, which that of the frame covers
        if assignment > 10 or (assignment < 8 and assignment + 1 != channels):
            return
        if assignment >= 8 and channels != 2:
            return
        for channel in range(channels):
            is_side = (assignment == 8 or assignment == 10) and channel == 1
            is_side = is_side or (assignment == 9 and channel == 0)
            bit = subframe(data, bit, end, samples, depth + is_side, weights, rows[channel])
            if bit < 0:
                return
        after = (bit + 7) // 8 + 2
        if after > size or unsigned_at(data, bit, after * 8 - 16 - bit):
            return
        if checksum(data, at, after, crcs):
            return
        if channels == 1:
            for i in range(samples):
                out[first + i, 0] = np.float32(rows[0, _SHORT + i]) * scale
            at, first, number = after, first + samples, number + 1
            continue
        for i in range(samples):
            left = rows[0, _SHORT + i]
            right = rows[1, _SHORT + i]
            if assignment == 8:
                right = left - right
            elif assignment == 9:
                left = left + right
            elif assignment == 10:
                middle = left << 1 | (right & 1)
                left, right = (middle + right) >> 1, (middle - right) >> 1
            out[first + i, 0] = np.float32(left) * scale
            out[first + i, 1] = np.float32(right) * scale
        at, first, number = after, first + samples, number + 1
    sound[0] = at == size
