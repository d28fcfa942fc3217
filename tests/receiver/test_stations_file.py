import pytest

from schemas.errors import SettingsError
from services.receiver.stations_file import import_stations, parse_stations, write_stations

GOOD = """\
stations:
  - id: one
    url: https://radio.example/live
    silence_dbfs: -40
    tags: [jazz]
  - id: two
    name: Two
    url: "exec:arecord -f cd"
"""


def test_stations_are_read() -> None:
    one, two = parse_stations(GOOD)
    assert (one.name, one.silence_dbfs, one.tags) == ("one", -40.0, ("jazz",))
    assert two.url == "exec:arecord -f cd"


def test_what_is_written_is_read_again() -> None:
    stations = parse_stations(GOOD)
    assert parse_stations(write_stations(stations)) == stations


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- id: a\n  url: file:///etc/passwd\n", r"stations.yaml:2: addresses of 'file'"),
        ("- id: a\n  url: http://x/\n- id: a\n  url: http://y/\n", r":3: the id 'a' .* line 1"),
        ("- id: a\n  url: http://x/\n  volume: 3\n", r":3: unknown field 'volume'"),
        ("- id: a\n", r":1: the station has no url"),
        ("- id: 'a b'\n  url: http://x/\n", r":1: .*regex"),
        ("- id: a\n  url: http://x/\n  silence_dbfs: loud\n", r":3: Expected `float`"),
        ("- id: a\n  url: http://x/\n  timezone: Mars/Base\n", r":3: unknown timezone"),
        ('- id: a\n  url: http://x/\n  headers: {X: "a\\nb"}\n', r":3: header 'X'"),
        ("- id: [\n", r":\d+: "),
        ("radios: []\n", r":1: unknown key 'radios'"),
        ("just text", r":1: no list of stations"),
        ("- just text", r":1: no station"),
    ],
)
def test_a_fault_is_named_with_its_line(text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        parse_stations(text)


def test_lists_become_stations_with_ids_of_their_own() -> None:
    data = b"#EXTM3U\n#EXTINF:-1,Radio A\nhttp://a/\n#EXTINF:-1,Radio A\nhttp://b/\nhttp://c/\n"
    stations = import_stations(data, "x.m3u")
    assert [s.id for s in stations] == ["radio-a", "radio-a-2", "station-3"]


def test_a_list_cannot_run_commands() -> None:
    with pytest.raises(SettingsError, match="entry 1: exec: is taken from the file"):
        import_stations(b"exec:rm -rf /\n", "x.m3u")
