"""Which parameters span the landscape, and how they lie in one flat vector."""

import fnmatch
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from thalweg.errors import ArgumentError
from thalweg.landscape._atomic import atomic

Selection = str | Sequence[str] | Callable[[str, nn.Parameter], bool] | None


@dataclass(frozen=True)
class Layout:
    """Names and shapes of the selected parameters in the model's order, row-major in the flat vector."""

    names: tuple[str, ...]
    shapes: tuple[torch.Size, ...]

    @property
    def sizes(self) -> list[int]:
        """Entries of each parameter."""
        return [shape.numel() for shape in self.shapes]

    @property
    def size(self) -> int:
        """Entries of all parameters, P."""
        return sum(self.sizes)

    def places(self, names: Sequence[str], device: torch.device) -> Tensor:
        """Return where the entries of these parameters lie in the flat vector, (m,), in the order of ``names``."""
        starts = itertools.accumulate(self.sizes, initial=0)
        spans = dict(zip(self.names, itertools.pairwise(starts), strict=True))
        return torch.cat([torch.arange(*spans[name], device=device) for name in names])

    def stand_ins(self, dtype: torch.dtype) -> dict[str, nn.Parameter]:
        """Return parameters that have a name and a shape but no values, to select from."""
        return {
            name: nn.Parameter(torch.empty(shape, dtype=dtype, device="meta"))
            for name, shape in zip(self.names, self.shapes, strict=True)
        }

    @atomic
    def views(self, vector: Tensor) -> list[Tensor]:
        """Cut a flat vector (P,) into views of the parameters' shapes."""
        parts = torch.split(vector, self.sizes)
        return [part.view(shape) for part, shape in zip(parts, self.shapes, strict=True)]

    def stacked_views(self, vectors: Tensor) -> list[Tensor]:
        """Cut k flat vectors (k, P) into views of the parameters' shapes behind a first axis of length k."""
        parts = torch.split(vectors, self.sizes, dim=1)
        return [part.reshape(len(vectors), *shape) for part, shape in zip(parts, self.shapes, strict=True)]

    @atomic
    def flatten(self, parts: Sequence[Tensor | None], like: Tensor, *, out: Tensor | None = None) -> Tensor:
        """Join parts into a flat vector (P,) of the type of ``like``; ``None`` counts as zero."""
        flat = [
            like.new_zeros(size) if part is None else _dense(part).reshape(-1).to(like.dtype)
            for part, size in zip(parts, self.sizes, strict=True)
        ]
        return torch.cat(flat) if out is None else torch.cat(flat, out=out)

    def flatten_stacked(self, parts: Sequence[Tensor | None], like: Tensor) -> Tensor:
        """Join parts with a first axis of length k into k flat vectors (k, P) of the type of ``like``."""
        count = len(like)
        flat = [
            like.new_zeros(count, size) if part is None else part.reshape(count, -1).to(like.dtype)
            for part, size in zip(parts, self.sizes, strict=True)
        ]
        return torch.cat(flat, dim=1)


def _patterns(chosen: Any, argument: str) -> list[str]:
    patterns = [chosen] if isinstance(chosen, str) else list(chosen) if isinstance(chosen, Sequence) else [chosen]
    for pattern in patterns:
        if not isinstance(pattern, str):
            raise ArgumentError(
                f"{argument}: expected a name, a shell pattern, a sequence of these, or a predicate (name, parameter) "
                f"-> bool, got {type(pattern).__name__}."
            )
    return patterns


def _dense(part: Tensor) -> Tensor:
    # As embeddings give gradients on request.
    return part.to_dense() if part.is_sparse else part


def select(parameters: Mapping[str, nn.Parameter], chosen: Selection, argument: str = "params") -> Layout:
    """Choose parameters by name, by shell pattern, by a sequence of these, or by a predicate.

    ``None`` chooses every parameter that requires a gradient. Errors speak of ``argument``.

    Raises:
        ArgumentError: If nothing is chosen, a name or pattern matches nothing, or a chosen one is not real.
    """
    if chosen is None:
        names = [name for name, parameter in parameters.items() if parameter.requires_grad]
    elif callable(chosen) and not isinstance(chosen, nn.Module):
        names = [name for name, parameter in parameters.items() if chosen(name, parameter)]
    else:
        patterns = _patterns(chosen, argument)
        for pattern in patterns:
            if not fnmatch.filter(parameters, pattern):
                raise ArgumentError(
                    f"{argument}: expected the name of a parameter or a pattern that matches one, got {pattern!r}. "
                    f"The model has {', '.join(parameters)}."
                )
        names = [name for name in parameters if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)]
    if not names:
        raise ArgumentError(
            f"{argument}: expected at least one parameter, got none"
            + (" that requires a gradient." if chosen is None else ".")
            + f" The model has {', '.join(parameters) or 'no parameters'}."
        )
    for name in names:
        if not parameters[name].is_floating_point():
            raise ArgumentError(
                f"{argument}: expected parameters of real numbers, got {name} of {parameters[name].dtype}. "
                "Leave it out with params=, or write it as real parameters."
            )
    return Layout(tuple(names), tuple(parameters[name].shape for name in names))
