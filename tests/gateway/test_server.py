"""Room for connections, whatever limit of open files the gateway is started with."""

import subprocess
import sys

import pytest

resource = pytest.importorskip("resource", reason="Windows has no such limit")


@pytest.mark.parametrize(
    ("soft", "hard", "room", "files"),
    [(256, 4000, 2500, 2700), (256, 1000, 800, 1000), (3000, 4000, 2500, 3000)],
)
def test_the_limit_of_open_files_is_raised_as_far_as_it_goes(
    soft: int, hard: int, room: int, files: int
) -> None:
    code = (
        "import resource; from services.gateway.server import room_for;"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}));"
        "print(room_for(2500), resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(room), str(files)]
