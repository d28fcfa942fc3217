"""CED-Tiny's weights, as the crate `soundevents` has them.

CED (Dinkel et al. 2023, arXiv:2308.11957) tags sounds with the 527 classes of AudioSet. The crate
is never compiled: its archive is opened for the network and the licences alone.
"""

import os
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from training.errors import DataError

PACKAGE: Final = "soundevents"
VERSION: Final = "0.5.0"
_NETWORK: Final = "models/tiny.onnx"
_NOTICES: Final = ("THIRD_PARTY_NOTICES.md", "LICENSE-APACHE")
_MANIFEST: Final = f"""\
[package]
name = "fetch"
version = "0.0.0"
edition = "2021"
[lib]
path = "lib.rs"
[dependencies]
{PACKAGE} = "={VERSION}"
"""


@dataclass(frozen=True, slots=True)
class Crate:
    """What is taken from the crate.

    Attributes
    ----------
    network
        An ONNX file.
    notices
        Where the network comes from, and its licence.
    licence
        Text of the Apache License 2.0.
    """

    network: bytes
    notices: str
    licence: str


def read_crate(path: Path) -> Crate:
    """Read the network and its licences from a ``.crate`` file.

    Raises
    ------
    DataError
        The file is no archive of the crate.
    """
    root = f"{PACKAGE}-{VERSION}"
    try:
        with tarfile.open(path) as archive:
            network, notices, licence = (
                _read(archive, f"{root}/{name}") for name in (_NETWORK, *_NOTICES)
            )
    except (OSError, KeyError, tarfile.TarError) as error:
        raise DataError(
            f"{path} is no {PACKAGE}-{VERSION}.crate ({error}): give the file that cargo downloads"
        ) from error
    return Crate(network, notices.decode(), licence.decode())


def _read(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    if file is None:
        raise KeyError(f"{name} is no file")
    return file.read()


def download() -> Path:
    """Let cargo download the crate, and return its path in cargo's cache.

    Raises
    ------
    DataError
        cargo is missing or cannot get it.
    """
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "Cargo.toml").write_text(_MANIFEST, encoding="utf-8")
        Path(folder, "lib.rs").touch()
        try:
            run = subprocess.run(
                ["cargo", "fetch", "--quiet"],  # noqa: S607 - the user's own cargo
                cwd=folder,
                capture_output=True,
                text=True,
                check=False,
            )
        except OSError as error:
            raise DataError(f"cargo does not run ({error.strerror}): give --crate") from error
    home = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))
    crates = sorted(home.glob(f"registry/cache/*/{PACKAGE}-{VERSION}.crate"))
    if run.returncode or not crates:
        reason = (run.stderr.strip() or "no crate came").splitlines()[-1]
        raise DataError(f"cargo cannot download {PACKAGE} {VERSION} ({reason}): give --crate")
    return crates[-1]
