"""Hear whether a backward pass runs Python code that is not ours."""

from collections.abc import Callable
from typing import Any

from torch.overrides import TorchFunctionMode

# What PyTorch itself asks of the weights that a backward pass is given: their size, and fields such as their type.
_QUESTIONS = ("size", "__get__")


class Listening(TorchFunctionMode):
    """Inside, functions of PyTorch's are heard when Python calls them, but for those within ours.

    Hooks, functions with a backward pass in Python, and gradient checkpointing call some; PyTorch's own derivatives
    do not. Who is not heard needs neither the model in its place nor the random states kept.

    Attributes:
        heard: Whether there was one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.heard = False

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: tuple[type, ...],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        ours = (getattr(function, "__module__", None) or "").startswith("thalweg.")
        self.heard |= not ours and getattr(function, "__name__", None) not in _QUESTIONS
        return function(*args, **(kwargs or {}))
