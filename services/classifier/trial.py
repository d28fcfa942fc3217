"""Try a model of somebody else's in a process of its own, with limits, before a worker takes it.

A graph may loop for ever, or ask for all memory there is.
"""

import resource
import subprocess
import sys
from pathlib import Path
from typing import Final

from schemas.errors import ModelError

#: Time that loading a model and two rows of features may take, and memory (address space).
TRIAL_SECONDS: Final = 30
TRIAL_BYTES: Final = 4 * 1024**3
_REFUSED: Final = 3


def try_out(path: Path) -> None:
    """Load a model and run it once, in a child process.

    Raises
    ------
    ModelError
        It is refused, takes too long or too much memory, or ends the process.
    """
    command = [sys.executable, "-P", "-m", "services.classifier.trial", str(path)]
    try:
        trial = subprocess.run(  # noqa: S603 - our own module
            command, capture_output=True, check=False, timeout=TRIAL_SECONDS, text=True
        )
    except subprocess.TimeoutExpired as error:
        raise ModelError(
            f"{path} did not answer two rows of features within {TRIAL_SECONDS} s: do not use it"
        ) from error
    if trial.returncode == _REFUSED:
        raise ModelError(trial.stdout.strip())
    if trial.returncode:
        raise ModelError(
            f"{path} ended the process that tried it (exit code {trial.returncode}), within "
            f"{TRIAL_BYTES // 1024**3} GiB of memory: do not use it"
        )


def main(path: Path) -> int:
    """Be that child process."""
    from services.classifier.model import load_tried

    resource.setrlimit(resource.RLIMIT_AS, (TRIAL_BYTES, TRIAL_BYTES))
    try:
        load_tried(path)
    except ModelError as error:
        print(error)  # noqa: T201 - read by `try_out`
        return _REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
