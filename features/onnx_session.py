"""ONNX Runtime as every part of the project uses it: one thread, no arena, and no telemetry.

Since 1.29 its wheels for Linux report to their maker: on import they write a device id and a
database below ``~/.cache/Microsoft`` and send what waits there now and then.
``disable_telemetry_events`` comes too late for that; ``ORT_DISABLE_TELEMETRY``, which is read on
import, prevents it (seen with 1.32.0 by tests/commands/test_quiet.py, which fails without).
"""

import os
from typing import Any, Final

_TELEMETRY_OFF: Final = "ORT_DISABLE_TELEMETRY"


def import_onnxruntime() -> Any:
    """Import ONNX Runtime; the one place that does, so that it reports nothing."""
    os.environ[_TELEMETRY_OFF] = "1"
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    return onnxruntime


def open_session(model: bytes) -> Any:
    """Load an ONNX model.

    One thread a session, for the default pool takes every processor; no arena, for it makes the
    process of a 2 MB model grow by gigabytes (onnxruntime issues 11627, 9313).

    Parameters
    ----------
    model
        The file's bytes.

    Returns
    -------
    An ``onnxruntime.InferenceSession``.

    Raises
    ------
    ValueError
        ONNX Runtime does not load it; the text is its first line.
    """
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 4  # its errors reach the user through the exception alone
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises a dozen unrelated types
        raise ValueError(str(error).splitlines()[0][:200]) from error
