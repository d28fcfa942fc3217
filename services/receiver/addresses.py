"""Addresses of stations: which we take, and how they are written without their secrets."""

from typing import Final
from urllib.parse import urlsplit, urlunsplit

HTTP_SCHEMES: Final = frozenset(("http", "https"))
#: What ffmpeg reads as a whole.
FFMPEG_SCHEMES: Final = frozenset(("rtsp", "rtsps", "rtmp", "rtmps", "srt"))
#: Sound cards, by the name of ffmpeg's input device.
DEVICE_SCHEMES: Final = frozenset(("alsa", "pulse"))
EXEC_SCHEME: Final = "exec"
_ALL: Final = (*sorted(HTTP_SCHEMES), *sorted(FFMPEG_SCHEMES), *sorted(DEVICE_SCHEMES), EXEC_SCHEME)
_MAX_LENGTH: Final = 4096


def scheme(url: str) -> str:
    """Return the scheme of an address, in lower case."""
    return url.partition(":")[0].lower()


def check_address(url: str, *, local: bool) -> None:
    """Refuse an address that we do not listen to.

    Parameters
    ----------
    url
        The address.
    local
        Whether commands and sound cards of this machine are taken: from a file of stations they
        are, from the topic, an API and a server's redirect never.

    Raises
    ------
    ValueError
        With the value, without its secrets, and the remedy.
    """
    kind = scheme(url)
    if len(url) > _MAX_LENGTH or any(ord(c) < 33 for c in url if kind != EXEC_SCHEME):
        raise ValueError("the address has blanks, or more than 4,096 characters: write one URL")
    if kind not in _ALL:
        raise ValueError(
            f"addresses of {kind[:20] or 'no'!r} are not taken: write {', '.join(_ALL)}"
        )
    if kind in DEVICE_SCHEMES or kind == EXEC_SCHEME:
        if not local:
            raise ValueError(
                f"{kind}: is taken from the file of stations only that the receiver itself has: "
                "name it by GENRESTREAM_STATIONS there"
            )
        if not url.partition(":")[2].strip():
            raise ValueError(f"{kind}: says nothing to read: write {kind}:NAME")
        return
    _check_host(url)


def _check_host(url: str) -> None:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError("the address is no URL: check its host and port") from error
    if not host or port == 0:
        raise ValueError("the address names no host: write http://HOST:PORT/PATH")


def without_secrets(url: str) -> str:
    """Write an address without user, password, query and fragment; of a command, its name.

    >>> without_secrets("https://u:p@radio.example:8443/live?token=s3cret")
    'https://radio.example:8443/live'
    """
    kind = scheme(url)
    if kind == EXEC_SCHEME:
        return "exec:" + (url.partition(":")[2].split() or [""])[0]
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    except ValueError:
        return f"{kind}:…"
    return urlunsplit((parts.scheme, host + port, parts.path, "", ""))
