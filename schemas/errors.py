"""Everything that can be wrong with a message, a model or a setting.

::

    GenrestreamError
     ├─ InputError            a message that cannot be processed; becomes a dead letter
     │   ├─ AudioError            the audio of a chunk
     │   │   ├─ UnsupportedAudio      a container, encoding, rate or parameter that we do not read
     │   │   ├─ CorruptAudio          a known container whose content does not decode
     │   │   ├─ AudioTooLong          more decoded seconds than the limit
     │   │   ├─ AudioTooShort         a stream that ended before the shortest window
     │   │   └─ InvalidSamples        NaN, infinite or absurdly large samples
     │   ├─ MessageError          the envelope: headers, JSON, schema, feature names
     │   ├─ LateChunk             a chunk that comes after one with a higher sequence number
     │   ├─ WindowOverflow        more chunks or bytes for a window than are kept in memory
     │   ├─ MemoryFull            a stream that was ended because open streams take too much memory
     │   ├─ MessageTooLarge       more bytes than a worker takes, or than a topic takes of an answer
     │   └─ NumberTaken           other audio under a sequence number that is taken
     ├─ ModelError            an ONNX file that the classifier refuses
     └─ SettingsError         a setting with a bad value
"""

from typing import ClassVar


class GenrestreamError(Exception):
    """Base of all errors that genrestream raises on purpose.

    The text names the offending value, the limit and the remedy; ``code`` is stable and made for
    machines. Where the text ``says_all``, logs have no traceback.
    """

    code: ClassVar[str] = "error"
    says_all: ClassVar[bool] = False


class InputError(GenrestreamError):
    """A message that cannot be processed and never will be: it becomes a dead letter."""

    code = "invalid-input"


class AudioError(InputError):
    """The audio of a chunk or file cannot be used."""

    code = "invalid-audio"


class UnsupportedAudio(AudioError):
    """Neither the content type nor the first bytes name an audio format that we read."""

    code = "unsupported-audio"


class CorruptAudio(AudioError):
    """The container is known, but its content does not decode."""

    code = "corrupt-audio"


class AudioTooLong(AudioError):
    """A chunk decodes to more audio than the limit (guards against decompression bombs)."""

    code = "audio-too-long"


class AudioTooShort(AudioError):
    """A stream ended before it was long enough for a single window."""

    code = "audio-too-short"


class InvalidSamples(AudioError):
    """Samples are NaN, infinite or far outside of full scale."""

    code = "invalid-samples"


class MessageError(InputError):
    """The envelope of a message is wrong: its headers, JSON, schema version or feature names."""

    code = "invalid-message"


class LateChunk(InputError):
    """By its sequence number a chunk belongs before audio that was taken already."""

    code = "late-chunk"


class WindowOverflow(InputError):
    """The window under way needs more chunks, or more bytes, than a stream may keep in memory."""

    code = "window-overflow"


class MemoryFull(InputError):
    """The open streams of a worker take more memory than they may: the largest are ended."""

    code = "memory-full"


class MessageTooLarge(InputError):
    """A message is larger than a worker takes, or its answer larger than the topic takes."""

    code = "message-too-large"


class NumberTaken(InputError):
    """A chunk has the sequence number of an earlier one of its stream, but other bytes."""

    code = "number-taken"


class ModelError(GenrestreamError):
    """An ONNX file is missing, not one of ours, or does not fit the feature set."""

    code = "invalid-model"


class SettingsError(GenrestreamError):
    """A setting is unknown or has a bad value."""

    code = "invalid-setting"
