"""Why a station is not heard: a stable code, a sentence, and what to do about it."""

from dataclasses import dataclass
from typing import Final, Literal

ReasonCode = Literal[
    "bad-url",
    "dns",
    "connection-refused",
    "tls",
    "unauthorized",
    "forbidden",
    "not-found",
    "gone",
    "http-error",
    "server-error",
    "timeout",
    "no-audio",
    "too-slow",
    "ended",
    "connection-lost",
    "decoder-died",
    "unknown-codec",
    "redirect-loop",
    "bad-playlist",
    "bad-answer",
    "no-ffmpeg",
    "stopped",
]


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a connection ended or did not come about.

    Attributes
    ----------
    code
        For machines.
    sentence
        What happened.
    remedy
        What to do.
    """

    code: ReasonCode
    sentence: str
    remedy: str

    def __str__(self) -> str:
        """Write the sentence and the remedy in one line."""
        return f"{self.sentence}: {self.remedy}"


#: The one table of reasons: code, sentence, remedy.
_TABLE: Final[dict[ReasonCode, tuple[str, str]]] = {
    "bad-url": (
        "the address cannot be used",
        "write http://, https://, rtsp://, rtmp:// or srt://",
    ),
    "dns": ("the name of the server is not known", "check the host in the address, and DNS"),
    "connection-refused": (
        "nothing accepts connections there",
        "check the port, and whether the server runs",
    ),
    "tls": (
        "the server's certificate is not trusted",
        "renew it, or name the host that it was made for",
    ),
    "unauthorized": (
        "the server asks for a user name and a password (401)",
        "write them into the address as user:password@, or as a header",
    ),
    "forbidden": (
        "the server does not let us in (403)",
        "ask the station, or set another user_agent",
    ),
    "not-found": ("there is no such stream (404)", "check the path of the address"),
    "gone": ("the stream was taken down (410)", "ask the station for its new address"),
    "http-error": ("the server refuses the request", "open the address in a player to compare"),
    "server-error": ("the server has a fault of its own (5xx)", "nothing: it is tried again"),
    "timeout": ("the server does not answer in time", "check the network, and the server's load"),
    "no-audio": (
        "the connection stands, but no audio comes",
        "check the encoder that feeds the server",
    ),
    "too-slow": (
        "audio comes more slowly than it plays",
        "check the network, or choose a lower bit rate",
    ),
    "ended": ("the server ended the stream", "nothing: it is tried again"),
    "connection-lost": ("the connection broke", "nothing: it is tried again"),
    "decoder-died": ("the decoder ended before the stream did", "nothing: it is started again"),
    "unknown-codec": (
        "what comes is no audio that we decode",
        "name the stream itself, not a page: MP3, AAC, Ogg, FLAC or HLS",
    ),
    "redirect-loop": ("the server redirects too often", "name the address that it should end at"),
    "bad-playlist": ("the playlist names no stream", "name the stream itself"),
    "bad-answer": ("the server does not speak HTTP", "check the port of the address"),
    "no-ffmpeg": ("there is no ffmpeg", "install ffmpeg, or genrestream[radio], which brings one"),
    "stopped": ("the station was removed or moved", "nothing"),
}

REASON_CODES: Final = tuple(_TABLE)

_BY_STATUS: Final[dict[int, ReasonCode]] = {
    401: "unauthorized",
    403: "forbidden",
    404: "not-found",
    410: "gone",
}
#: What the source itself denies: asking at once again changes nothing.
REFUSING: Final[frozenset[ReasonCode]] = frozenset(("not-found", "gone", "bad-url"))


def reason(code: ReasonCode, detail: str = "") -> Reason:
    """Return the reason of a code; the detail, without secrets, goes behind the sentence.

    >>> str(reason("dns"))
    'the name of the server is not known: check the host in the address, and DNS'
    """
    sentence, remedy = _TABLE[code]
    return Reason(code, f"{sentence} ({detail})" if detail else sentence, remedy)


def status_reason(status: int) -> Reason:
    """Return the reason of an HTTP status that is no success.

    >>> status_reason(503).code
    'server-error'
    """
    if status in _BY_STATUS:
        return reason(_BY_STATUS[status])
    return reason("server-error" if status >= 500 else "http-error", f"status {status}")


class SourceFailed(Exception):
    """A source cannot be read, or no longer."""

    def __init__(self, why: Reason) -> None:
        super().__init__(str(why))
        self.reason = why


def failed(code: ReasonCode, detail: str = "") -> SourceFailed:
    """Return the exception of a code."""
    return SourceFailed(reason(code, detail))
