"""The small inner loop that minimises, or samples, over vectors."""

from thalweg.descent._follow import (
    Rule,
    cosine,
    follow,
)
from thalweg.descent._minibatches import Minibatches
from thalweg.descent._newton import (
    Descended,
    newton_mr,
)
from thalweg.descent._rules import (
    adam,
    langevin,
    momentum,
)
from thalweg.descent._standing import standing

__all__ = [
    "Descended",
    "Minibatches",
    "Rule",
    "adam",
    "cosine",
    "follow",
    "langevin",
    "momentum",
    "newton_mr",
    "standing",
]
