"""Errors as people and programs get them: problem details (RFC 9457), each with its remedy."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

MEDIA_TYPE: Final = "application/problem+json"
TYPE_PREFIX: Final = "urn:genrestream:problem:"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem.

    Attributes
    ----------
    status
        HTTP status code.
    title
        What is wrong, the same for every case.
    remedy
        What to do about it.
    """

    status: int
    title: str
    remedy: str


#: Every kind of problem, by its code; docs/gateway.md lists them from here.
KINDS: Final[Mapping[str, Kind]] = {
    "bad-request": Kind(400, "The request cannot be read", "Correct what the detail names."),
    "bad-cursor": Kind(
        400,
        "Last-Event-ID is none of ours",
        "Connect without it: events come from now on, and GET api/board says what holds.",
    ),
    "bad-station": Kind(400, "The station is not valid", "Correct the field that is named."),
    "bad-stream-id": Kind(
        400,
        "The stream id cannot be used",
        "Take 1 to 200 printable characters, such as my-radio.",
    ),
    "token-needed": Kind(
        401,
        "A token is needed",
        "Send Authorization: Bearer with GENRESTREAM_TOKEN's value, or sign in on the page.",
    ),
    "token-wrong": Kind(401, "The token is not right", "Ask who runs the gateway for it."),
    "writes-off": Kind(
        403,
        "Stations cannot be changed without a token",
        "Set GENRESTREAM_TOKEN for the gateway and send it, or use genrestream stations apply.",
    ),
    "cross-site": Kind(
        403,
        "Another site asked for this",
        "Name the site in GENRESTREAM_GATEWAY_ORIGINS if it may.",
    ),
    "wrong-host": Kind(
        403,
        "The gateway is not known by this host name",
        "Use localhost, or name the address of the page in GENRESTREAM_GATEWAY_ORIGINS.",
    ),
    "not-found": Kind(404, "There is no such thing", "GET api/openapi.json lists what there is."),
    "no-such-stream": Kind(
        404,
        "Nothing is known of this stream",
        "GET api/now lists the streams that were heard lately.",
    ),
    "no-such-station": Kind(
        404, "There is no such station", "GET api/stations lists those that there are."
    ),
    "wrong-method": Kind(
        405, "This method is not for this address", "Use one of those in the header Allow."
    ),
    "stream-busy": Kind(
        409, "The stream is being sent already", "Wait for its end, or take another id."
    ),
    "too-large": Kind(413, "The request is too large", "Send less, or raise the limit it names."),
    "not-audio": Kind(
        422,
        "The audio cannot be heard",
        "Send WAV, FLAC, Ogg or MP3, whole; or raw PCM with its content type.",
    ),
    "headers-too-large": Kind(431, "The headers are too large", "Send fewer or shorter ones."),
    "too-many": Kind(429, "Too many requests", "Wait as long as the header Retry-After says."),
    "upload-slow": Kind(
        408, "The upload stood still", "Send again; a live source sends at least 16 kB in 30 s."
    ),
    "broker-away": Kind(
        503,
        "The Kafka broker does not answer",
        "Start it or fix its network; the gateway goes on by itself.",
    ),
    "no-answer": Kind(
        504,
        "No prediction came",
        "See that genrestream worker extractor and classifier run: genrestream lag tells.",
    ),
    "no-history": Kind(
        503,
        "There is no recorder's database",
        "Run genrestream worker recorder, and give the gateway the same GENRESTREAM_DATABASE_URL.",
    ),
    "full": Kind(503, "The gateway is full", "Try again later, or run another gateway."),
    "internal": Kind(500, "The gateway failed", "Look into its log, and report it, please."),
}


@dataclass
class Problem(Exception):
    """A problem, with what is particular to this case.

    Attributes
    ----------
    code
        One of `KINDS`.
    detail
        The offending value and the limit, in a sentence.
    headers
        To send with it.
    """

    code: str
    detail: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> Kind:
        """Its kind."""
        return KINDS[self.code]

    @property
    def status(self) -> int:
        """HTTP status code."""
        return self.kind.status

    def body(self) -> dict[str, Any]:
        """Return the members of the JSON object."""
        kind = self.kind
        return {
            "type": f"{TYPE_PREFIX}{self.code}",
            "title": kind.title,
            "status": kind.status,
            "detail": self.detail or f"{kind.title}.",
            "remedy": kind.remedy,
        }

    def __str__(self) -> str:
        """Return detail and remedy in a line."""
        return f"{self.detail or self.kind.title}: {self.kind.remedy}"


def code_for_status(status: int) -> str:
    """Return the code of the problems that a framework raises by status alone."""
    known = {404: "not-found", 405: "wrong-method", 413: "too-large", 429: "too-many"}
    return known.get(status, "bad-request" if status < 500 else "internal")
