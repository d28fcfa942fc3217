"""Write ``deploy/secure/rights.txt`` and the table in ``docs/security.md`` from `rights_of`.

``python -m services.kafka.generate_rights``
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from services.kafka.rights import ADDED, USERS, rights_of
from services.settings import load_settings

_ROOT: Final = Path(__file__).parents[2]
LIST: Final = _ROOT / "deploy" / "secure" / "rights.txt"
PAGE: Final = _ROOT / "docs" / "security.md"
BEGIN: Final = "<!-- written by `make rights` from services/kafka/rights.py -->\n"
END: Final = "<!-- end -->\n"
_HEAD: Final = """\
# What rights.sh gives, written by `make rights` from services/kafka/rights.py: user, kind, name and
# operations. A name that ends in * is a prefix. producer and reader are given to users of yours.
"""


def listed() -> str:
    """Return what the script reads: a line a user and resource."""
    return _HEAD + "".join(
        f"{user} {kind} {name} {','.join(rights)}\n"
        for user, rights_of_user in rights_of(load_settings(topic_prefix="")).items()
        for kind, name, rights in rights_of_user.all()
    )


def table() -> str:
    """Return the table of the page: a row a resource, a column a user."""
    users = (*USERS, *ADDED)
    found = {
        (f"{'group ' if kind == 'group' else ''}`{name}`", user): rights
        for user, rights_of_user in rights_of(load_settings(topic_prefix="")).items()
        for kind, name, rights in rights_of_user.all()
    }
    resources = dict.fromkeys(resource for resource, _ in found)
    ordered = sorted(resources, key=lambda resource: resource.startswith("group"))
    return (
        _row(["topic or group", *users])
        + _row(["---"] * (1 + len(users)))
        + "".join(
            _row([resource, *(" ".join(found.get((resource, user), ())) for user in users)])
            for resource in ordered
        )
    )


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |\n"


def page(text: str) -> str:
    """Return the text of the page with its table as it has to be."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + "\n" + table() + "\n" + END + after


def main() -> None:
    """Write both."""
    LIST.write_text(listed(), encoding="utf-8")
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
