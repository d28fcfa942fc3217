"""The command line offers what the rooms below it can do."""

from features.formats.table import WRITTEN
from services.cli import CodecName


def test_produce_offers_every_format_that_can_be_written() -> None:
    assert set(CodecName) - {"auto", "pcm"} == {name.lower() for name in WRITTEN}
