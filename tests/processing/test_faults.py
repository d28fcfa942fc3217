"""Faults of the machine are told apart from those of messages."""

import errno
import os

import pytest

from services.processing import faults
from services.processing.faults import is_of_the_machine


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(errno.EMFILE, os.strerror(errno.EMFILE)), True),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), True),
        (OSError(errno.EINVAL, os.strerror(errno.EINVAL)), False),
        (RuntimeError("std::bad_alloc"), True),
        (RuntimeError("can't start new thread"), True),
        (ZeroDivisionError("division by zero"), False),
        (MemoryError("Unable to allocate 200 GiB"), False),  # while others find memory
    ],
)
def test_who_is_at_fault(error: Exception, expected: bool) -> None:
    assert is_of_the_machine(error) is expected


def test_without_memory_the_machine_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "_has_plenty", lambda: False)
    assert is_of_the_machine(MemoryError())
