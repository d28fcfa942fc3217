"""Where ffmpeg is found."""

import shutil
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from features.formats import ffmpeg


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    ffmpeg.ffmpeg_path.cache_clear()
    yield
    ffmpeg.ffmpeg_path.cache_clear()


def test_the_one_on_path_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/somewhere/{name}")
    assert ffmpeg.ffmpeg_path() == "/somewhere/ffmpeg"


def test_then_that_of_the_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(ffmpeg, "find_spec", lambda _: object())
    wheel = SimpleNamespace(get_ffmpeg_exe=lambda: "/wheel/ffmpeg")
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", wheel)
    assert ffmpeg.ffmpeg_path() == "/wheel/ffmpeg"


def test_there_may_be_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(ffmpeg, "find_spec", lambda _: None)
    assert ffmpeg.ffmpeg_path() is None
