"""What checks the annotations of Thalweg's functions while the tests run."""

import typing
from collections.abc import Callable
from typing import Any, Self

from beartype import BeartypeConf, beartype

# An int is a float to whoever reads annotations, so it is one here.
CONFIGURATION = BeartypeConf(is_pep484_tower=True)


def check(function: Callable[..., Any]) -> Callable[..., Any]:
    """Apply beartype, leaving out the annotations that nobody can check while the program runs."""
    function.__annotations__ = {
        name: hint if checkable(hint) else Any for name, hint in function.__annotations__.items()
    }
    return beartype(conf=CONFIGURATION)(function)


def checkable(hint: Any) -> bool:
    """Whether ``isinstance`` could decide it.

    Methods are decorated one by one, before their class exists, so nothing is known then of what ``Self`` is;
    and a protocol that is not declared ``runtime_checkable`` refuses to be asked.
    """
    if hint is Self:
        return False
    if getattr(hint, "_is_protocol", False) and not getattr(hint, "_is_runtime_protocol", False):
        return False
    return all(checkable(part) for part in typing.get_args(hint))
