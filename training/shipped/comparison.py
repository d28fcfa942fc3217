"""The candidates' scores as a table."""

from typing import Final

from training.shipped.choice import Choice, Outcome, error_of_difference

_HEADER: Final = """\
| candidate | all tracks, pairs and windows | below the best | worst genre |
|---|---|---|---|"""


def markdown(choice: Choice) -> str:
    """Return the candidates in the order in which they were written down, as Markdown."""
    return "\n".join([_HEADER, *(_row(o, choice) for o in choice.outcomes)]) + "\n"


def _row(outcome: Outcome, choice: Choice) -> str:
    name = outcome.candidate.name
    shown = f"**{name}**" if outcome is choice.chosen else name
    below = choice.best.score - outcome.score
    error = error_of_difference(choice.best, outcome)
    return (
        f"| {shown} | {outcome.score:.1%} ± {outcome.standard_error:.1%} | {100 * below:.1f} ± "
        f"{100 * error:.1f} points | {outcome.least_recall:.0%} |"
    )
