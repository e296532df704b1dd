"""What a verdict is made of, and how those of several points are put into one sentence."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from thalweg.figures._numbers import number, thousands

Tone = Literal["yes", "no", "partly", "open", "value"]


@dataclass(frozen=True)
class Fact:
    """A label and a value; ``flag`` marks what a reader should not miss."""

    label: str
    value: str
    flag: bool = False


@dataclass(frozen=True)
class Column:
    """The facts of one measurement or one connection."""

    name: str
    facts: tuple[Fact, ...]


@dataclass(frozen=True)
class Verdict:
    """One question with its answer.

    Attributes:
        question: As the reader would ask it.
        answer: One sentence.
        tone: "yes", "no", "partly", "open" where the numbers do not decide, "value" where it is no yes-or-no
            question.
        columns: The numbers behind it.
        rule: What the words of the answer mean, with the thresholds.
        shared: Whether ``columns`` are the measurements, in order.
    """

    question: str
    answer: str
    tone: Tone
    columns: tuple[Column, ...]
    rule: str
    shared: bool = True


def share(tones: Sequence[Tone], wanted: Tone) -> str:
    """Say how many tones are the wanted one.

    Example:
        >>> share(["yes", "no"], "yes"), share(["no", "no"], "no"), share(["no", "no"], "yes")
        ('1 of 2', 'all 2', 'none of 2')
    """
    count = list(tones).count(wanted)
    if count == len(tones):
        return f"all {count}"
    return f"none of {len(tones)}" if count == 0 else f"{count} of {len(tones)}"


def joint(tones: Sequence[Tone]) -> Tone:
    """Put the tones of several points into one."""
    if len(set(tones)) == 1:
        return tones[0]
    return "open" if "open" in tones and "yes" not in tones else "partly"


def spread(values: Sequence[float]) -> str:
    """Write the range of counts or values; one number where they do not differ.

    Example:
        >>> spread([8, 9]), spread([37.8, 38.1])
        ('8 to 9', '38')
    """
    low, high = (
        thousands(value) if isinstance(value, int) else number(value, 2) for value in (min(values), max(values))
    )
    return low if low == high else f"{low} to {high}"


def pending(done: bool) -> str:
    """Write what follows a value that has not converged."""
    return "" if done else " (not converged)"
