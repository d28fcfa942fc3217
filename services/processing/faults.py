"""Faults that are no message's: no memory, no room on a disk, no more files or threads.

A message that meets one is no dead letter: a worker that is started anew may process it.
"""

import errno
from typing import Final

_NUMBERS: Final = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT, errno.ENOMEM, errno.EAGAIN}
)
#: What libraries in C and C++ say without memory, and Python without threads.
_TEXTS: Final = ("bad_alloc", "bad allocation", "malloc () failed", "can't start new thread")
#: With so much left, who finds no memory asked for too much.
_PLENTY: Final = 64 * 1024 * 1024


def is_of_the_machine(error: Exception) -> bool:
    """Tell whether an error says that the machine, or its container, has no more of something.

    A message that asks for more memory than anybody has is at fault itself: while there is plenty,
    it becomes a dead letter, or the worker would end at it again and again.
    """
    if isinstance(error, MemoryError):
        return not _has_plenty()
    if isinstance(error, OSError):
        return error.errno in _NUMBERS
    return any(text in str(error) for text in _TEXTS)


def _has_plenty() -> bool:
    try:
        bytearray(_PLENTY)
    except MemoryError:
        return False
    return True
