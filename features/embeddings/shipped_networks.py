"""The networks that ship in ``models/embeddings``: read with their cards, loaded once a process."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from features.onnx_session import open_session
from schemas.errors import ModelError
from schemas.model_files import read_model

FOLDER: Final = Path(__file__).parents[2] / "models" / "embeddings"


@dataclass(frozen=True, slots=True)
class ShippedNetwork:
    """A network from one array to one, or several.

    Attributes
    ----------
    file
        Its path.
    command
        That makes it again, for the error's remedy.
    input_name, output_name
        Of its graph.
    second_output
        Name of another output, if there is one.
    """

    file: Path
    command: str
    input_name: str
    output_name: str
    second_output: str | None = None

    def read(self) -> bytes:
        """Return the file, compared with its card.

        Raises
        ------
        ModelError
            It is missing, or not the file that its card describes.
        """
        try:
            return read_model(self.file, needs_card=True)
        except OSError as error:
            raise self._unusable(str(error.strerror)) from error

    def run(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run it on one window, alone, so that no bit depends on what else is at hand.

        Parameters
        ----------
        values
            What `input_name` takes, without the batch.

        Returns
        -------
        What `output_name` gives, without the batch.

        Raises
        ------
        ModelError
            As `read`, or the file does not load.
        """
        (result,) = self._run(values, [self.output_name])
        return result

    def run_all(self, values: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Run it likewise, for both outputs."""
        return self._run(values, [self.output_name, self.second_output])

    def _run(
        self, values: NDArray[np.float32], names: list[str | None]
    ) -> list[NDArray[np.float32]]:
        feed = {self.input_name: values[np.newaxis]}
        return [rows[0] for rows in _session(self).run(names, feed)]

    def load(self) -> Any:
        """Return a session of ONNX Runtime.

        Raises
        ------
        ModelError
            As `run`.
        """
        try:
            return open_session(self.read())
        except ValueError as error:
            raise self._unusable(str(error)) from error

    def _unusable(self, reason: str) -> ModelError:
        return ModelError(
            f"{self.file} does not load ({reason}): install genrestream again, or make the file by "
            f"genrestream {self.command}"
        )


@cache
def _session(network: ShippedNetwork) -> Any:
    """Load a network, once a process."""
    return network.load()
