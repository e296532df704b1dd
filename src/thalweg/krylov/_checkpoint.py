"""Products that are kept in a folder, so that a run which was cut off goes on where it was, with the same bits."""

import hashlib
import json
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from thalweg.errors import ArgumentError, CheckpointError, CheckpointWarning
from thalweg.estimate import Provenance
from thalweg.krylov._operator import SymmetricOperator, require_symmetric
from thalweg.vectors import VectorSpace

_FORMAT = "thalweg-products/2"


@runtime_checkable
class Settling(Protocol):
    """An operator that settles on a way of computing its products as it goes, and can be told to take the same."""

    def settled(self) -> dict[str, Any]:
        """Return what has been settled, in JSON's types."""
        ...

    def settle(self, settled: Mapping[str, Any]) -> None:
        """Take the ways that another one has settled on."""
        ...


class Checkpointed:
    """An operator whose products are kept; made by :func:`checkpointed`."""

    def __init__(self, operator: SymmetricOperator, folder: Path) -> None:
        self._operator, self._folder = operator, folder
        self._next = 0
        self._choices: dict[str, Any] = {}
        self._kept = _count(folder)
        if self._kept:
            self._resume()

    @property
    def space(self) -> VectorSpace:
        """The space that it acts on."""
        return self._operator.space

    @property
    def shares_passes(self) -> bool:
        """Whether the vectors of a block share work."""
        return bool(getattr(self._operator, "shares_passes", True))

    @property
    def provenance(self) -> Provenance | None:
        """How products are computed."""
        return self._operator.provenance

    @property
    def shape(self) -> tuple[int, int]:
        """(P, P)."""
        return self.space.size, self.space.size

    @property
    def dtype(self) -> torch.dtype:
        """Of the vectors."""
        return self.space.dtype

    @property
    def device(self) -> torch.device:
        """Where the vectors live."""
        return self.space.device

    @property
    def matvecs(self) -> int:
        """Products that the operator itself has made."""
        return int(getattr(self._operator, "matvecs", 0))

    def remember(self, name: str, choice: Any) -> Any:
        """Return what was chosen under this name when the products were first made; what JSON holds."""
        return self._choices.setdefault(name, choice)

    def __matmul__(self, vectors: Tensor) -> Tensor:
        """Multiply a vector (P,) or a block (P, k), or read the product that is there."""
        index, seen = self._next, _digest(vectors)
        if index < self._kept:
            kept = self._read(index, seen)
            if kept is not None and index == 0:
                self._compare(vectors, kept)
            if kept is not None:
                self._next += 1
                return kept
        product: Tensor = self._operator @ vectors
        self._write(index, seen, product)
        self._next, self._kept = index + 1, index + 1
        return product

    def __repr__(self) -> str:
        return f"{self._operator!r}, {self._kept} products kept in {self._folder}"

    # ------------------------------------------------------------------ the folder

    def _resume(self) -> None:
        """Look whether the folder belongs to this operator, and have products computed as they were."""
        record = self._open(self._kept - 1)[0]
        expected, found = self._described(), {name: record.get(name) for name in self._described()}
        for name, value in expected.items():
            if found[name] != value:
                raise CheckpointError(
                    f"checkpoint: expected products with {name} {value}, but those in {self._folder} have "
                    f"{found[name]}. Take another folder, or make this run like that one."
                )
        if isinstance(self._operator, Settling):
            self._operator.settle(record["settled"])
        self._choices = record["choices"]

    def _described(self) -> dict[str, Any]:
        space = self.space
        return {
            "format": _FORMAT,
            "size": space.size,
            "dtype": str(space.dtype).removeprefix("torch."),
            "device": str(space.device),
            "threads": torch.get_num_threads(),
        }

    def _read(self, index: int, seen: str) -> Tensor | None:
        """Return a product of these vectors; ``None`` where the run has come to others than the one before."""
        record, product = self._open(index)
        if record["vectors"] != seen:
            if index == 0:
                raise CheckpointError(
                    f"checkpoint: the products in {self._folder} begin with another vector: another call, or another "
                    "seed, has made them. Take another folder."
                )
            warnings.warn(
                f"checkpoint: products {index + 1} to {self._kept} in {self._folder} are of other vectors, as where "
                "a tolerance was changed, and are made again.",
                CheckpointWarning,
                stacklevel=4,
            )
            self._drop(index)
            return None
        return product

    def _compare(self, vectors: Tensor, kept: Tensor) -> None:
        """Hold a kept product against one that is made now."""
        now: Tensor = self._operator @ vectors
        if torch.equal(now, kept):
            return
        gap = float(torch.linalg.vector_norm(now - kept) / torch.linalg.vector_norm(kept))
        which = f"the first product in {self._folder} and the same one made now differ by {gap:.1e} of it"
        if not gap <= torch.finfo(self.space.dtype).eps ** 0.5:
            raise CheckpointError(
                f"checkpoint: {which}: it is of another matrix, or the data are others. Take another folder."
            )
        warnings.warn(
            f"checkpoint: {which}, which is rounding: a kernel does not repeat, or the machine is another. The run "
            "goes on, but not with the bits that it would have had.",
            CheckpointWarning,
            stacklevel=4,
        )

    def _open(self, index: int) -> tuple[dict[str, Any], Tensor]:
        path = _file(self._folder, index)
        try:
            with safe_open(path, framework="pt") as file:
                record = json.loads(file.metadata()["record"])
                # A copy, aligned as every other tensor: alignment may decide the order of a sum.
                stored = file.get_tensor("product").clone()
            intact = record["product"] == _digest(stored) and {"vectors", "settled", "choices"} <= record.keys()
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise _damaged(path, index) from error
        if not intact:
            raise _damaged(path, index)
        product = stored.to(self.space.device)
        return record, product.mT if product.ndim == 2 else product

    def _write(self, index: int, seen: str, product: Tensor) -> None:
        stored = (product.mT if product.ndim == 2 else product).detach().cpu().contiguous()
        settled = self._operator.settled() if isinstance(self._operator, Settling) else {}
        how = {"settled": settled, "choices": self._choices}
        record = {**self._described(), "vectors": seen, "product": _digest(stored), **how}
        path = _file(self._folder, index)
        unfinished = path.with_suffix(".part")
        save_file({"product": stored}, unfinished, {"record": json.dumps(record)})
        # Whatever ends the process, a file that has its name is whole.
        unfinished.replace(path)

    def _drop(self, start: int) -> None:
        for index in range(start, self._kept):
            _file(self._folder, index).unlink()
        self._kept = start


def checkpointed(operator: SymmetricOperator, folder: str | os.PathLike[str]) -> Checkpointed:
    """Keep every product of an operator in a folder, and read there what an earlier run has kept.

    What runs on the operator is a function of its products. So a script that was cut off is started again as it was:
    the products that are there are read, in the order in which they were made, and the first that is missing is where
    the work goes on. The bits are the same as without the interruption. Ways that were chosen by the clock or by free
    memory are kept along with the products and taken again.

    Each product is one file; it has its name once it is whole. Checksums tell damage and other vectors. When a run
    comes to other vectors than the earlier one had, as with another tolerance, the products from there on are made
    again.

    Cost: a file of P numbers for each product, and one product when a run is resumed, which is compared with the
    first that was kept.

    Args:
        operator: Any operator.
        folder: Where to keep products; it is made if it is not there. One folder for one run.

    Returns:
        The operator. Its products count only where they are made.

    Raises:
        ArgumentError: If ``operator`` is none, or ``folder`` is a file.
        CheckpointError: If the folder's products are damaged or of another matrix, here or from a product.

    Warns:
        CheckpointWarning: From a product, if those that follow in the folder are of other vectors, or products repeat
            to rounding only.

    Example:
        >>> import tempfile
        >>> op = tw.FunctionOperator(lambda v: 2 * v, 3)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     first = checkpointed(op, folder) @ torch.ones(3)
        ...     again = checkpointed(op, folder) @ torch.ones(3)  # read, and compared with a new one
        >>> torch.equal(first, again), op.matvecs
        (True, 2)
    """
    require_symmetric(operator)
    if not isinstance(folder, (str, os.PathLike)):
        raise ArgumentError(f"checkpoint: expected the path of a folder, got {folder!r}.")
    path = Path(folder)
    if path.exists() and not path.is_dir():
        raise ArgumentError(f"checkpoint: expected a folder, but {path} is a file.")
    path.mkdir(parents=True, exist_ok=True)
    return Checkpointed(operator, path)


def _file(folder: Path, index: int) -> Path:
    return folder / f"product-{index + 1:06}.safetensors"


def _count(folder: Path) -> int:
    """How many products there are, one after the other."""
    there = {path.name for path in folder.glob("product-*.safetensors")}
    count = 0
    while _file(folder, count).name in there:
        count += 1
    if len(there) > count:
        raise CheckpointError(
            f"checkpoint: {_file(folder, count)} is missing, but later ones are there. Remove these to go on from "
            f"product {count + 1}."
        )
    return count


def _damaged(path: Path, index: int) -> CheckpointError:
    return CheckpointError(
        f"checkpoint: {path} is damaged. Remove it and those after it to go on from product {index + 1}."
    )


def _digest(vectors: Tensor) -> str:
    # Flat: of a single row any stride counts as contiguous, but not all can be seen as bytes.
    rows = (vectors.mT if vectors.ndim == 2 else vectors).detach().cpu().flatten().contiguous()
    return hashlib.blake2b(rows.view(torch.uint8).numpy().data, digest_size=16).hexdigest()
