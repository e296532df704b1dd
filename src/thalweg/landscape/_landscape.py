"""L(θ) and its gradient: a model on data, seen from a point, without ever changing the model."""

import copy
import functools
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from thalweg.errors import DataError, UnreachedParameterWarning
from thalweg.estimate import Cost, Provenance, versions
from thalweg.landscape._arguments import check_arguments
from thalweg.landscape._batches import Batch, map_tensors, split
from thalweg.landscape._checks import compare, named_once, refuse_by_mode, refuse_writes, require_iterable
from thalweg.landscape._cuttable import require_cuttable
from thalweg.landscape._differentiating import differentiating
from thalweg.landscape._evaluation import Evaluation
from thalweg.landscape._gradients import finite, gradients_of, require_finite_gradient
from thalweg.landscape._held import held
from thalweg.landscape._parameters import Layout, Selection
from thalweg.landscape._point import Point
from thalweg.landscape._program import Outputs, Program, Terms, run, terms_of
from thalweg.landscape._require import require_vector
from thalweg.landscape._statistics import Average, collect
from thalweg.landscape._survey import Survey, survey
from thalweg.landscape._untouched import untouched
from thalweg.objectives import Objective
from thalweg.vectors import VectorSpace

Mode = Literal["eval", "train"]


class Landscape:
    r"""The loss of a model on data as a function of its parameters.

    .. math:: L(\theta) = \sum_j w_j \ell_j(\theta) \Big/ \sum_j w_j

    over all terms j of all batches, so that ragged last batches and masked tokens count by what they hold and,
    in eval mode, results do not depend on how the data were batched.

    The landscape stands at the point where the model was when it was built: parameters and buffers are copied, and
    training the model afterwards does not move it. The model is evaluated functionally; its parameters,
    buffers, gradients, modes and hooks and all global random states are the same after every call as before.

    Args:
        model: Any module.
        objective: What is summed, from :mod:`thalweg.objectives`.
        data: Batches, iterable many times in the same order (a list, a DataLoader without shuffling). A batch is
            any nesting of tensors: tuples, dictionaries, mappings, dataclasses.
        params: The parameters that span the landscape: a name, a shell pattern (``"layer1.*"``), a sequence of
            these, or a predicate ``(name, parameter) -> bool``; by default all that require a gradient.
            Tied parameters count once.
        mode: "eval" measures with running batch-norm statistics and without dropout; "train" the
            train-mode landscape, in which the batch is the unit (running statistics are not touched).
        microbatch: Samples per pass, to save memory; by default whole batches.
        device: Where to compute; by default where the parameters are.
        dtype: Floating-point type of parameters, buffers and inputs; by default as they are.
        autocast: Type of the matrix products and convolutions inside the model (``torch.bfloat16``), as by
            ``torch.autocast``; parameters and vectors keep theirs. To see what it costs, compare one product without.
        check: Whether to check at construction that per-batch losses and the gradient repeat, at the cost of two
            gradients. Without it one pass of losses is made.

    Raises:
        ArgumentError: If an argument has a wrong value, or batch norm in eval mode has no running statistics.
        DataError: If the data are empty, cannot be read twice, or are not batched.
        DeterminismError: If two passes disagree (a shuffling loader, dropout in train mode).
        NonFiniteError: If the loss of a batch is not finite.
        ObjectiveError: If the objective does not fit the batches or the model.

    Warns:
        UnreachedParameterWarning: If the loss does not depend on some selected parameters; they count as
            directions of zero curvature.

    Example:
        >>> import thalweg as tw
        >>> model = nn.Linear(2, 1, bias=False)
        >>> _ = nn.init.ones_(model.weight)
        >>> inputs, targets = torch.eye(2), torch.zeros(2, 1)
        >>> landscape = Landscape(model, tw.objectives.mse(), [(inputs, targets)])
        >>> landscape.size, landscape.loss(), landscape.gradient()
        (2, 1.0, tensor([1., 1.]))
    """

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        data: Iterable[Batch],
        *,
        params: Selection = None,
        mode: Mode = "eval",
        microbatch: int | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        autocast: torch.dtype | None = None,
        check: bool = True,
    ) -> None:
        check_arguments(model, objective, mode, microbatch, device, dtype, autocast)
        require_iterable(data)
        self._point = Point(model, params, device, dtype)
        self._program = Program(model, objective)
        self._data, self._microbatch, self._autocast = data, microbatch, autocast
        self._mode: Mode = mode
        self._batch_count: int | None = None
        lost = self._examine(check)
        if lost:
            warnings.warn(
                f"The loss does not depend on {named_once(lost)}: directions of zero curvature and zero gradient. "
                "Leave them out with params=.",
                UnreachedParameterWarning,
                stacklevel=2,
            )

    # ------------------------------------------------------------------ what it is

    @property
    def model(self) -> nn.Module:
        """The user's model; its own parameters may have moved on since."""
        return self._program.model

    @property
    def objective(self) -> Objective:
        """What is summed."""
        return self._program.objective

    @property
    def data(self) -> Iterable[Batch]:
        """The batches."""
        return self._data

    @property
    def mode(self) -> Mode:
        """Whether the model is measured in eval or in train mode."""
        return self._mode

    @property
    def microbatch(self) -> int | None:
        """Samples per pass, or ``None`` for whole batches."""
        return self._microbatch

    @property
    def autocast(self) -> torch.dtype | None:
        """Type of the matrix products inside the model, or ``None`` for that of the parameters."""
        return self._autocast

    @property
    def size(self) -> int:
        """Number of selected parameters P."""
        return self.layout.size

    @property
    def count(self) -> int:
        """Number of data items N."""
        return self._count

    @property
    def weight(self) -> float:
        """Σ w over all terms, the denominator of L."""
        return self._weight

    @property
    def space(self) -> VectorSpace:
        """The space that θ and the gradient live in."""
        return self._point.space

    @property
    def precision(self) -> float:
        """The unit roundoff of the coarsest type that products are computed in."""
        kinds = [*self._point.kinds, *(() if self._autocast is None else (self._autocast,))]
        return max(float(torch.finfo(kind).eps) for kind in kinds)

    @property
    def layout(self) -> Layout:
        """Names and shapes of the selected parameters."""
        return self._point.layout

    @property
    def theta(self) -> Float[Tensor, " p"]:
        """A copy of the point, shape (P,), in the order of ``model.parameters()``, row-major."""
        return self._point.theta.clone()

    @property
    def buffers(self) -> dict[str, Tensor]:
        """Copies of the model's buffers as they were at construction."""
        return {name: buffer.clone() for name, buffer in self._point.buffers.items()}

    def split(self, vector: Float[Tensor, " p"]) -> dict[str, Tensor]:
        """Cut a vector (P,) into named views of the parameters' shapes.

        Raises:
            ArgumentError: If the vector has another shape.
        """
        require_vector(self.space, vector, "vector", finite=False)
        return dict(zip(self.layout.names, self.layout.views(vector), strict=True))

    def at(self, theta: Float[Tensor, " p"], *, buffers: Mapping[str, Tensor] | None = None) -> "Landscape":
        """Return the same landscape seen from another point; nothing is recomputed or checked.

        Args:
            theta: The point, shape (P,), of the landscape's dtype and device.
            buffers: Buffers to use there, by name (all of them); by default those of this landscape.

        Raises:
            ArgumentError: If ``theta`` does not fit, or ``buffers`` are not exactly the model's.
        """
        return self._but(_point=self._point.moved(theta, buffers))

    def on(self, data: Iterable[Batch]) -> "Landscape":
        """Return the same model at the same point on other data, read once to count them; raises as the constructor."""
        require_iterable(data)
        other = self._but(_data=data, _batch_count=None)
        Landscape._examine(other, check=False)
        return other

    # ------------------------------------------------------------------ what it measures

    def loss(self, theta: Float[Tensor, " p"] | None = None) -> float:
        """Return L(θ), at the landscape's own point by default. Cost: one pass without gradients.

        Raises:
            ArgumentError: If ``theta`` does not fit.
            NonFiniteError: If the loss of a batch is not finite.
        """
        total = 0.0
        with self.reading(), torch.no_grad():
            leaves = self.leaves(theta, grad=False)
            for index, batch in self.batches():
                total += finite(self.terms(leaves, batch).weighted_sum(), index)
        return total / self._weight

    def gradient(self, theta: Float[Tensor, " p"] | None = None) -> Float[Tensor, " p"]:
        """Return ∇L(θ), shape (P,). Cost: one gradient.

        Raises:
            ArgumentError: If ``theta`` does not fit.
            NonFiniteError: If the loss or gradient of a batch is not finite.
        """
        return self.loss_and_gradient(theta)[1]

    def loss_and_gradient(self, theta: Float[Tensor, " p"] | None = None) -> tuple[float, Float[Tensor, " p"]]:
        """Return L(θ) and ∇L(θ) from one pass; raises as :meth:`gradient` does."""
        with self.reading(theta):
            total, flat = 0.0, torch.zeros_like(self._point.theta)
            leaves = self.leaves(theta)
            for index, batch in self.batches():
                value = self.terms(leaves, batch).weighted_sum()
                total += finite(value, index)
                flat += self.layout.flatten(gradients_of(value, leaves), flat)
        require_finite_gradient(flat, self.layout)
        return total / self._weight, flat / self._weight

    def evaluate(self, theta: Float[Tensor, " p"] | None = None) -> Evaluation:
        """Return the loss and the objective's metrics, each with the standard error that the data leave.

        Cost: one pass without gradients. The mean is exact for these data (``standard_error`` is 0);
        ``data_error`` is that of a mean over N independent items. Raises as :meth:`loss` does.
        """
        started = time.perf_counter()
        with self.reading(), torch.no_grad():
            leaves = self.leaves(theta, grad=False)
            loss, others = collect(self.batches(), functools.partial(self.terms, leaves, metrics=True))
        cost = Cost(losses=1, seconds=time.perf_counter() - started)
        mean = Average(self.objective.finish, cost, self.provenance())
        metrics = {name: mean.of(sums, name) for name, sums in others.items()}
        return Evaluation(mean.of(loss), metrics, self._count, self._terms)

    def provenance(self, engine: str | None = None) -> Provenance:
        """Describe how results of this landscape are computed."""
        return Provenance(
            engine=engine,
            microbatch=self._microbatch,
            dtype=str(self.space.dtype).removeprefix("torch."),
            device=str(self.space.device),
            threads=torch.get_num_threads(),
            samples=self._count,
            versions=versions(),
        )

    def __repr__(self) -> str:
        return (
            f"Landscape({type(self.model).__name__}, {self.objective.name}, {self.size} parameters, "
            f"{self._count} samples, mode={self._mode!r})"
        )

    # ------------------------------------------------------------------ what operators build on

    @contextmanager
    def reading(self, theta: Float[Tensor, " p"] | None = None) -> Iterator[None]:
        """Hold the model in this landscape's mode and at θ, gradients on, everything restored at the end.

        The point, the landscape's own by default, is where parts of the model are that backward passes run again, as
        gradient checkpointing does.

        Raises:
            ArgumentError: If ``theta`` does not fit.
        """
        with (
            untouched(self.model, training=self._mode == "train"),
            differentiating(self.space.device),
            self.held(self._point.standing() if theta is None else self.leaves(theta)),
        ):
            yield

    def held(self, leaves: list[Tensor]) -> AbstractContextManager[None]:
        """Put leaves in the place of the model's parameters, for backward passes that run parts of it again."""
        return held(self.model, self._tensors(leaves))

    def batches(self) -> Iterator[tuple[int, Batch]]:
        """Yield (index of the batch, micro-batch) on the landscape's device; use inside :meth:`reading`.

        Raises:
            DataError: At the end, if there were more or fewer batches than at construction.
        """
        seen = 0
        for index, batch in enumerate(self._data):
            seen += 1
            placed = map_tensors(self._point.adopted, batch)
            if self._microbatch is None:
                yield index, placed
            else:
                require_cuttable(placed, self.objective)
                for part in split(placed, self._microbatch):
                    yield index, part
        if self._batch_count not in (None, seen):
            raise DataError(
                f"data: expected {self._batch_count} batches, as when the landscape was built, got {seen}. Data that "
                "can be read only once must be kept: pass list(data)."
            )

    def leaves(self, theta: Float[Tensor, " p"] | None = None, *, grad: bool = True) -> list[Tensor]:
        """Return the selected parameters at θ as leaves of a new graph; raises as :meth:`loss` does."""
        return self._point.leaves(theta, grad=grad)

    def tensors(self) -> Iterator[Tensor]:
        """Yield the tensors that the landscape itself holds."""
        yield from self._point.held()

    def outputs(self, leaves: list[Tensor], batch: Batch) -> Outputs:
        """Run the model on one batch with the given parameters; use inside :meth:`reading`."""
        with self._casting():
            return run(self._program, self._tensors(leaves), batch)

    def terms(self, leaves: list[Tensor], batch: Batch, *, metrics: bool = False) -> Terms:
        """Evaluate the terms of one batch with the given parameters; use inside :meth:`reading`."""
        return self.terms_of(self.outputs(leaves, batch), batch, metrics=metrics)

    def terms_of(self, outputs: Outputs, batch: Batch, *, metrics: bool = False) -> Terms:
        """Compute the terms of one batch from the model's outputs; use inside :meth:`reading`."""
        with self._casting():
            return terms_of(self.objective, outputs, batch, metrics=metrics)

    def in_pieces(self, microbatch: int) -> "Landscape":
        """Return the same landscape with micro-batches of at most this many samples."""
        return self._but(_microbatch=microbatch)

    def restricted(self, names: Sequence[str]) -> "Landscape":
        """Return the same loss as a function of these parameters alone; the others stay at this point."""
        return self._but(_point=self._point.restricted(names))

    def seen_as(self, objective: Objective, data: Iterable[Batch]) -> "Landscape":
        """Return the same model at the same point, with other terms of the same samples and the same weight."""
        return self._but(_program=Program(self.model, objective), _data=data, _microbatch=None, _batch_count=None)

    def _but(self, **changes: object) -> "Landscape":
        other = copy.copy(self)
        vars(other).update(changes)
        return other

    def _tensors(self, leaves: list[Tensor]) -> dict[str, Tensor]:
        # In train mode batch norm writes into its running statistics: it gets copies to write into.
        return self._point.tensors(leaves, writable=self._mode == "train")

    def _casting(self) -> torch.autocast:
        return torch.autocast(self.space.device.type, dtype=self._autocast, enabled=self._autocast is not None)

    # ------------------------------------------------------------------ construction

    def _examine(self, check: bool) -> list[str]:
        """Read the data once, or twice to compare; keep what they hold, return the parameters that are not reached."""
        with self.reading():
            refuse_by_mode(self.model, self._mode, check=check)
            writes = self._point.writes()
            found = self._survey(check)
            found.require_terms()
            if check:
                compare(found, self._survey(check))
        refuse_writes(writes, self._point.writes(), self._mode)
        self._weight, self._count, self._terms = found.weight, found.samples, found.terms
        self._batch_count = found.batches
        return [name for name, reached in zip(self.layout.names, found.reached, strict=True) if check and not reached]

    def _survey(self, thorough: bool) -> Survey:
        leaves = self.leaves(grad=thorough)
        evaluate = functools.partial(self.terms, leaves)
        return survey(self.batches(), evaluate, leaves, self._point, thorough=thorough)
