"""Where ffmpeg is, the one place that says so: for what we do not decode ourselves.

It runs as a process of its own, with limits; it is never a library of ours.
"""

import shutil
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Final

#: What to do where there is none.
REMEDY: Final = "install ffmpeg, or genrestream[ffmpeg], which brings one"


@cache
def ffmpeg_path() -> str | None:
    """Return the path of ffmpeg: of the one on PATH, else of the wheel ``imageio-ffmpeg``.

    Returns
    -------
    ``None`` where there is neither; `REMEDY` says what to do then.
    """
    return shutil.which("ffmpeg") or _from_wheel()


def _from_wheel() -> str | None:
    if find_spec("imageio_ffmpeg") is None:
        return None
    try:
        return str(import_module("imageio_ffmpeg").get_ffmpeg_exe())
    except RuntimeError:  # a wheel for another platform, without a binary
        return None
