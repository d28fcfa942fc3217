"""Stations by the API: nothing that runs or reads something on a receiver's machine."""

import pytest

from schemas import Station
from schemas.errors import MessageError
from services.commands.gateway import check_station


@pytest.mark.parametrize(
    "url",
    [
        "exec:touch /tmp/x",
        "EXEC:id",
        "file:///etc/passwd",
        "concat:a|b",
        "subfile:,start,0:/etc/passwd",
        "alsa:default",
        "/etc/passwd",
        "",
    ],
)
def test_what_is_local_is_refused(url: str) -> None:
    with pytest.raises(MessageError):
        check_station(Station(id="a", name="A", url=url))


@pytest.mark.parametrize("url", ["https://radio.example/live.mp3", "rtsp://radio.example/a"])
def test_what_is_on_the_air_is_taken(url: str) -> None:
    check_station(Station(id="a", name="A", url=url))
