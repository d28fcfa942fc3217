"""Model files are what their cards say: read with a check of the SHA-256."""

import hashlib
import re
from pathlib import Path
from typing import Final

from schemas.errors import ModelError

_DIGEST: Final = re.compile(r"^sha256: ([0-9a-f]{64})$", re.MULTILINE)


def card_path(model: Path) -> Path:
    """Return where the card of a model file is: beside it, with the ending ``.md``."""
    return model.with_suffix(".md")


def read_model(path: Path, *, needs_card: bool = False) -> bytes:
    """Read a model file and compare it with its card.

    Parameters
    ----------
    path
        The file.
    needs_card
        Refuse a file without a card, too; a model of one's own may have none.

    Returns
    -------
    The very bytes that were checked: load these rather than the file once more.

    Raises
    ------
    ModelError
        The file is not the one that its card is of, or the card is missing or names none.
    """
    data, card = path.read_bytes(), card_path(path)
    if not card.is_file():
        if needs_card:
            raise ModelError(f"{path.name} has no card {card.name} to check it by: install it anew")
        return data
    stated = _DIGEST.findall(card.read_text(encoding="utf-8"))
    if len(stated) != 1:
        raise ModelError(
            f"the card {card.name} states {len(stated)} lines «sha256: …», needed is one: export "
            "the model again, or remove a card that is not its own"
        )
    found = hashlib.sha256(data).hexdigest()
    if found != stated[0]:
        raise ModelError(
            f"{path.name} is not the file that its card is of: it has SHA-256 {found[:12]}…, the "
            f"card states {stated[0][:12]}…: install it anew, or export model and card again"
        )
    return data
