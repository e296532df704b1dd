"""A curvature matrix of a landscape, known by its products."""

import dataclasses
import functools
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from torch import Tensor

from thalweg.errors import ArgumentError, MemoryBudgetError, MemoryBudgetWarning
from thalweg.estimate import Provenance
from thalweg.landscape import Landscape
from thalweg.memory import free_bytes, keep_what_is_freed, ran_out
from thalweg.operators._counted import Counted
from thalweg.operators._form import Form
from thalweg.operators.engines import (
    Choice,
    DoubleBackward,
    Engine,
    FiniteDifferences,
    ForwardOverReverse,
    MemoryPlan,
    choose,
    first_batch,
    halved,
    plan,
)

EngineName = Literal["auto", "double-backward", "forward-over-reverse", "finite-differences"]
Correction = Callable[[Tensor, Tensor, Landscape], Tensor]

# Vectors of a block that engines are tried on, up to six times each: whole blocks of eight took as long as 90 products.
_TRIED = 4


@dataclass(frozen=True)
class Way:
    """How products are to be computed: the arguments that all matrices share.

    Attributes:
        engine: One of the engines, or "auto".
        memory: Bytes that products may hold beyond the landscape, or "auto" for half of what is free at the first.
        keep: Whether graphs are kept for later products while the memory lasts.
    """

    engine: EngineName = "auto"
    memory: int | Literal["auto"] = "auto"
    keep: bool = True

    def __post_init__(self) -> None:
        names = ("auto", "double-backward", "forward-over-reverse", "finite-differences")
        if self.engine not in names:
            raise ArgumentError(f"engine: expected one of {', '.join(map(repr, names))}, got {self.engine!r}.")
        memory = self.memory
        if not isinstance(self.keep, bool):
            raise ArgumentError(f"keep: expected True or False, got {self.keep!r}.")
        if memory != "auto" and self.engine == "finite-differences":
            raise ArgumentError(
                "memory: expected 'auto' with engine='finite-differences', which keeps nothing; to make its passes "
                "smaller, give the landscape a microbatch."
            )
        if memory != "auto" and (isinstance(memory, bool) or not isinstance(memory, int) or memory < 0):
            raise ArgumentError(f"memory: expected 'auto' or a number of bytes, got {memory!r}.")


class Curvature(Counted):
    """A curvature matrix; made by :func:`hessian`, :func:`ggn`, :func:`fisher` and their kind.

    Args:
        kind: The matrix's name.
        landscape: Where it is taken.
        form: What it is made of.
        way: How to multiply.
        correction: ``correction(vectors, product, passes)``, what is still missing from the form's product; ``passes``
            is the landscape in the micro-batches that fit.
    """

    def __init__(
        self, kind: str, landscape: Landscape, form: Form, way: Way, correction: Correction | None = None
    ) -> None:
        if way.engine == "finite-differences" and kind != "hessian":
            raise ArgumentError(
                f"engine: expected an exact one for the {kind}, got 'finite-differences', which differences gradients "
                "and so knows the Hessian alone."
            )
        super().__init__(landscape.space)
        self._kind, self._landscape, self._form, self._way = kind, landscape, form, way
        self._correction = correction
        self._pieces: Landscape | None = None
        self._shrunk = False
        self._plan: MemoryPlan | None = None
        self._engines = dict[str, Engine]()
        self._choices = dict[str, Choice]()

    def __getstate__(self) -> dict[str, object]:
        # Graphs cannot be copied: a copy builds its own.
        return {**vars(self), "_engines": {}}

    @property
    def kind(self) -> str:
        """The name of the matrix."""
        return self._kind

    @property
    def landscape(self) -> Landscape:
        """The landscape that it belongs to."""
        return self._landscape

    @property
    def engine(self) -> str:
        """The way that products are computed, and with "auto" why; "auto" before the first product."""
        if self._way.engine != "auto":
            return self._way.engine
        return "; ".join(f"{c.name} for {what} ({c.reason})" for what, c in self._choices.items()) or "auto"

    @property
    def microbatch(self) -> int | None:
        """Samples a pass, once the first product has chosen; ``None`` for the landscape's own batches."""
        return (self._pieces or self._landscape).microbatch

    def memory_plan(self) -> MemoryPlan | None:
        """Estimate what products will take, before any is made; ``None`` for finite differences, which hold no graph.

        Cost: two linearisations of one or two samples, unless a product has been made.

        Raises:
            DifferentiationError: If an operation of the model has no derivative of the kind needed.
            MemoryBudgetError: If ``memory`` does not hold one sample.

        Example:
            >>> import thalweg as tw
            >>> data = [(torch.randn(64, 20), torch.randint(2, (64,)))]
            >>> op = tw.hessian(tw.Landscape(torch.nn.Linear(20, 2), tw.objectives.cross_entropy(), data))
            >>> op.memory_plan().microbatch is None  # whole batches fit
            True
        """
        return None if self._way.engine == "finite-differences" else self._planned()

    @property
    def error(self) -> float | None:
        """Relative error of the last product by finite differences; ``None`` for the exact engines."""
        engine = self._engines.get("finite-differences")
        return engine.error if isinstance(engine, FiniteDifferences) else None

    @property
    def provenance(self) -> Provenance:
        """How products are computed."""
        # Without the reasons, which are measured times and never the same.
        names = {what: choice.name for what, choice in self._choices.items()}
        same = len(set(names.values())) == 1
        chosen = next(iter(names.values())) if same else "; ".join(f"{name} for {what}" for what, name in names.items())
        return (self._pieces or self._landscape).provenance(chosen if names else self.engine)

    @property
    def shares_passes(self) -> bool:
        """Whether the vectors of a block share work: not on a processor with kept graphs.

        There a block takes what its vectors take one by one (0.91 to 1.09 times in ``benchmarks/products.py``), and
        no engine has to be tried. Cost: as :meth:`memory_plan`.
        """
        plan = self.memory_plan() if self._way.engine == "auto" and self._way.keep else None
        return plan is None or self.device.type != "cpu" or not plan.mostly_kept

    def settled(self) -> dict[str, Any]:
        """Return the engines, the micro-batch and the memory plan that were chosen, in JSON's types."""
        return {
            "choices": {what: dataclasses.asdict(choice) for what, choice in self._choices.items()},
            "microbatch": None if self._pieces is None else self._pieces.microbatch,
            "plan": None if self._plan is None else self._plan.to_dict(),
        }

    def settle(self, settled: Mapping[str, Any]) -> None:
        """Take the choices of another operator, so that products have the same bits."""
        self._engines.clear()
        self._choices = {what: Choice(**choice) for what, choice in settled["choices"].items()}
        self._plan = None if settled["plan"] is None else MemoryPlan.from_dict(settled["plan"])
        size = settled["microbatch"]
        self._pieces = None if size is None else self._landscape.in_pieces(size)

    def __repr__(self) -> str:
        return f"{self._kind} of {self._landscape!r}, {self.engine}"

    # ------------------------------------------------------------------ products

    def _block(self, block: Tensor) -> Tensor:
        while True:
            try:
                product = self._engine_for(block).product(block)
                return product if self._correction is None else self._correction(block, product, self._passes())
            except RuntimeError as error:
                if not ran_out(error):
                    raise
                self._shrink(error)

    def _engine_for(self, block: Tensor) -> Engine:
        if self._way.engine != "auto":
            return self._engine(self._way.engine)
        what = "single vectors" if block.shape[1] == 1 else "blocks"
        if what not in self._choices:
            self._choices[what] = self._choose(block)
        return self._engine(self._choices[what].name)

    def _engine(self, name: str) -> Engine:
        method, _, batched = name.partition(", ")
        if method not in self._engines:
            self._engines[method] = self._made(name, self._passes())
        engine = self._engines[method]
        if isinstance(engine, DoubleBackward) and batched:
            # One set of graphs serves single vectors and blocks.
            engine.together = self._planned().together(method, keep=self._way.keep)
        return engine

    def _made(self, name: str, landscape: Landscape) -> Engine:
        keep_what_is_freed(self.device)
        if name == "finite-differences":
            return FiniteDifferences(landscape)
        if name.startswith("forward-over-reverse"):
            keep = self._way.keep and self._way.engine == "auto"
            return ForwardOverReverse(landscape, self._form, chunk=self._planned().together(name, keep=keep))
        room = self._planned().room if self._way.keep else 0
        together = 1
        if name.endswith("batched"):
            together = self._planned().together("double-backward", keep=self._way.keep)
        return DoubleBackward(landscape, self._form, room=room, together=together)

    def _planned(self) -> MemoryPlan:
        if self._plan is None:
            memory = self._way.memory
            budget = free_bytes(self.device) // 2 if memory == "auto" else memory
            method = "double-backward" if self._way.engine == "auto" else self._way.engine
            most = None if self._pieces is None else self._pieces.microbatch
            self._plan = plan(self._landscape, self._form, budget, method, most=most)
        return self._plan

    def _passes(self) -> Landscape:
        """The landscape in the micro-batches that fit."""
        if self._pieces is None:
            # Differences of gradients hold no graphs, and are for models that have none of this kind.
            size = None if self._way.engine == "finite-differences" else self._planned().microbatch
            self._pieces = self._landscape if size is None else self._landscape.in_pieces(size)
        return self._pieces

    def _choose(self, block: Tensor) -> Choice:
        single = block.shape[1] == 1
        if single and self._way.keep and self._planned().mostly_kept:
            return Choice("double-backward", "most graphs are kept, so that it has the fewest operations")
        if not self._planned().spare(keep=self._way.keep):
            return Choice("double-backward", "the other engines take more memory than there is")
        names = ["double-backward", *(() if single else ["double-backward, batched"]), "forward-over-reverse"]
        trial = first_batch(self._passes())
        candidates = {name: functools.partial(self._made, name, trial) for name in names}
        return choose(candidates, block[:, :_TRIED], tolerance=self._landscape.precision**0.5)

    def _shrink(self, error: RuntimeError) -> None:
        """Go on with micro-batches of half the size."""
        size = halved(self._pieces or self._landscape)
        if size is None:
            raise MemoryBudgetError(
                f"memory: ran out of it on {self.device} in a pass that cannot be cut further. Select fewer "
                "parameters, or take a device that has more."
            ) from error
        if not self._shrunk:
            warnings.warn(
                f"Memory ran out: products go on with {size} samples a pass, or fewer if need be.",
                MemoryBudgetWarning,
                stacklevel=5,
            )
        self._shrunk = True
        self._engines.clear()
        self._pieces = self._landscape.in_pieces(size)
        if self._plan is not None:
            # What was estimated was too little: keep less, too.
            self._plan = replace(self._plan, room=self._plan.room // 2)
