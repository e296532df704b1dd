"""Where a landscape stands: copies of a model's parameters and buffers, in one flat vector and beside it."""

import copy
import functools
from collections.abc import Iterator, Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from thalweg.errors import ArgumentError
from thalweg.landscape._parameters import Layout, Selection, select
from thalweg.landscape._require import require_vector
from thalweg.vectors import VectorSpace


class Point:
    """The values that a model is evaluated at; the model's own are copied, and may move on.

    Args:
        model: Whose values.
        params: Which of its parameters the vector θ is made of.
        device: Where to put them; by default where the first of these is.
        dtype: Of all floating-point values; by default as they are.

    Attributes:
        layout: Names and shapes of the parameters in θ.
        space: The space that θ lives in.
        kinds: Their own types; θ has the one that holds them all.
        theta: θ, shape (P,).
        fixed: The other parameters.
        buffers: The buffers.
        originals: Names of the model's own parameters by identity, while the model lives.
    """

    def __init__(
        self, model: nn.Module, params: Selection, device: torch.device | str | None, dtype: torch.dtype | None
    ) -> None:
        parameters = dict(model.named_parameters())
        self.layout = select(parameters, params)
        self.originals = {id(parameter): name for name, parameter in parameters.items()}
        names = self.layout.names
        self._dtype = dtype
        self._device = torch.device(device) if device is not None else parameters[names[0]].device
        # Copies made in a caller's inference mode could never be differentiated.
        with torch.inference_mode(mode=False):
            chosen = [self.adopted(parameters[name].detach()) for name in names]
            self.kinds = [part.dtype for part in chosen]
            kind = functools.reduce(torch.promote_types, self.kinds)
            self.theta: Float[Tensor, " p"] = torch.cat([part.reshape(-1).to(kind) for part in chosen])
            others = {name: parameter for name, parameter in parameters.items() if name not in set(names)}
            self.fixed = {name: self._copied(parameter) for name, parameter in others.items()}
            self.buffers = {name: self._copied(buffer) for name, buffer in model.named_buffers()}
        self.space = VectorSpace(self.layout.size, kind, self._device)
        self._standing: list[Tensor] | None = None

    def moved(self, theta: Float[Tensor, " p"], buffers: Mapping[str, Tensor] | None = None) -> "Point":
        """Return the same point with another θ, and other buffers if they are given.

        Raises:
            ArgumentError: If ``theta`` does not fit, or ``buffers`` are not exactly the model's.
        """
        require_vector(self.space, theta, "theta", finite=False)
        if buffers is not None and set(buffers) != set(self.buffers):
            raise ArgumentError(f"buffers: expected exactly {sorted(self.buffers)}, got {sorted(buffers)}.")
        for name, buffer in (buffers or {}).items():
            if buffer.shape != self.buffers[name].shape:
                raise ArgumentError(
                    f"buffers: expected {name} of shape {tuple(self.buffers[name].shape)}, got {tuple(buffer.shape)}."
                )
        other = copy.copy(self)
        other._standing = None  # noqa: SLF001 - a point, too
        with torch.inference_mode(mode=False):
            other.theta = theta.detach().clone()
            if buffers is not None:
                other.buffers = {name: self._copied(buffer) for name, buffer in buffers.items()}
        return other

    def restricted(self, names: Sequence[str]) -> "Point":
        """Return the same point with these of its parameters in θ, in the model's order, and the others fixed."""
        other = copy.copy(self)
        other._standing = None  # noqa: SLF001 - a point, too
        chosen = set(names)
        kept = [place for place, name in enumerate(self.layout.names) if name in chosen]
        own = self.layout
        other.layout = Layout(tuple(own.names[place] for place in kept), tuple(own.shapes[place] for place in kept))
        other.kinds = [self.kinds[place] for place in kept]
        with torch.inference_mode(mode=False):
            values = dict(zip(own.names, self.leaves(None, grad=False), strict=True))
            other.theta = torch.cat([values[name].reshape(-1).to(self.space.dtype) for name in other.layout.names])
            rest = {name: value.clone() for name, value in values.items() if name not in chosen}
        other.fixed = {**self.fixed, **rest}
        other.space = VectorSpace(other.layout.size, self.space.dtype, self._device)
        return other

    def leaves(self, theta: Float[Tensor, " p"] | None, *, grad: bool) -> list[Tensor]:
        """Return the parameters in θ, the point's own by default, as leaves of a new graph.

        Raises:
            ArgumentError: If ``theta`` does not fit.
        """
        values = self.theta
        if theta is not None:
            require_vector(self.space, theta, "theta", finite=False)
            # A copy, in case the model writes into its parameters.
            values = theta.detach().clone()
        parts = zip(self.layout.views(values), self.kinds, strict=True)
        typed = [part if kind is self.space.dtype else part.to(kind) for part, kind in parts]
        return [part.detach().requires_grad_(grad) for part in typed]

    def standing(self) -> list[Tensor]:
        """Return leaves at θ that are always the same, for a model to hold while something else is differentiated."""
        if self._standing is None:
            self._standing = self.leaves(None, grad=True)
        return self._standing

    def tensors(self, leaves: list[Tensor], *, writable: bool) -> dict[str, Tensor]:
        """Return all that the model needs, by name, with buffers that it may write into if it does."""
        buffers = {name: buffer.clone() for name, buffer in self.buffers.items()} if writable else self.buffers
        return {**self.fixed, **buffers, **dict(zip(self.layout.names, leaves, strict=True))}

    def held(self) -> Iterator[Tensor]:
        """Yield every tensor that belongs to the point."""
        yield self.theta
        yield from self.fixed.values()
        yield from self.buffers.values()

    def writes(self) -> dict[str, int]:
        """Count in-place writes, of each tensor that a model must leave alone."""
        tensors = {**dict.fromkeys(self.layout.names, self.theta), **self.fixed, **self.buffers}
        return {name: tensor._version for name, tensor in tensors.items()}  # noqa: SLF001 - autograd's own counter

    def adopted(self, tensor: Tensor) -> Tensor:
        """Return a tensor on the point's device, and in its type if it has floating-point entries."""
        moved = tensor.to(self._device, self._dtype if tensor.is_floating_point() else None)
        # What was made in inference mode cannot be saved for a backward pass; a copy can.
        return moved.clone() if moved.is_inference() else moved

    def _copied(self, tensor: Tensor) -> Tensor:
        return self.adopted(tensor.detach()).clone()
