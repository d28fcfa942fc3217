"""The end of a worker process: in time, whatever its loop is busy with.

A thread of its own waits for signals and for the time limit. It is started beforehand, for a
process without memory can start none; and signals are blocked everywhere else, for a loop that is
blocked would not see them.
"""

import logging
import os
import signal
import threading
from collections.abc import Callable
from typing import Final

#: A worker that has not stopped by then after a signal, or after a fault, is ended.
STOP_SECONDS: Final = 4.0
#: Exit code of one that cannot go on.
FAILED: Final = 1
_SIGNALS: Final = {signal.SIGTERM, signal.SIGINT}


class Ending:
    """Ends this process in time, by signals and by `fail`.

    Until `begin` it does nothing.
    """

    def __init__(self) -> None:
        self._code = FAILED
        self._stop: Callable[[signal.Signals], object] = self._at_once

    def begin(self) -> "Ending":
        """Wait for signals, before any other thread runs: they inherit which are blocked."""
        signal.pthread_sigmask(signal.SIG_BLOCK, {*_SIGNALS, signal.SIGALRM})
        threading.Thread(target=self._wait, name="ending", daemon=True).start()
        return self

    def when_told(self, stop: Callable[[signal.Signals], object]) -> None:
        """Call this, in another thread, when a signal tells the process to stop."""
        self._stop = stop

    def fail(self) -> None:
        """End the process by the limit, with the code of a failure."""
        self._end_in_time(FAILED)

    def _at_once(self, number: signal.Signals) -> None:
        leave(128 + number)

    def _wait(self) -> None:
        while (number := signal.sigwait({*_SIGNALS, signal.SIGALRM})) != signal.SIGALRM:
            self._end_in_time(128 + number)
            self._stop(signal.Signals(number))
        leave(self._code)

    def _end_in_time(self, code: int) -> None:
        """Set the limit, where none is set yet."""
        if not signal.getitimer(signal.ITIMER_REAL)[0]:
            self._code = code
            signal.setitimer(signal.ITIMER_REAL, STOP_SECONDS)


def leave(code: int) -> None:
    """End the process at once: a warm-up may still compile, and has nothing to finish."""
    logging.shutdown()
    os._exit(code)
