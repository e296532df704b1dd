"""Cells of a scan in a file, so that a scan which was cut off goes on where it was, with the same bits."""

import hashlib
import json
import math
import os
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from thalweg.errors import ArgumentError, CheckpointError, CheckpointWarning
from thalweg.landscape import Landscape
from thalweg.landscape._sampling import Table

_FORMAT = "thalweg-cells/1"
# Seconds between writes where cells take less: so much is lost if the process is killed, and nothing if it ends.
_EVERY = 1.0
# Units of the losses' rounding by which a repeated value may differ: sums over data in another order, not other data.
_ROUNDINGS = 2000.0


class Store:
    """The file of one scan; made by :func:`opened`."""

    def __init__(
        self, path: Path, identity: Mapping[str, Any], centre: Mapping[str, float] | None, precision: float
    ) -> None:
        self.path, self._most = path, _ROUNDINGS * precision
        self._identity, self._centre = dict(identity), None if centre is None else dict(centre)
        self._last = time.perf_counter()

    def read(self, table: Table) -> None:
        """Fill a table with the cells that are kept.

        Raises:
            CheckpointError: If the file is damaged or of another scan.

        Warns:
            CheckpointWarning: If the values at θ repeat to rounding only.
        """
        record, tensors = _contents(self.path)
        names = {"theta": "point θ", "shared": "way of sharing the first layer (share=, memory=)"}
        for key, value in self._identity.items():
            if record["identity"].get(key) != value:
                raise CheckpointError(
                    f"checkpoint: {self.path} is of a scan with {'another' if key != 'directions' else 'other'} "
                    f"{names.get(key, key)}. Take another file, or make this scan like that one."
                )
        self.compare(record["centre"], self._centre, "θ")
        table.done.copy_(tensors.pop("done"))
        table.loss.copy_(tensors.pop("loss"))
        table.metrics.update({name.removeprefix("metric."): values for name, values in tensors.items()})

    def write(self, table: Table) -> None:
        """Replace the file by one with all cells that are done."""
        metrics = {f"metric.{name}": values for name, values in table.metrics.items()}
        tensors = {"done": table.done, "loss": table.loss, **metrics}
        record = {"identity": self._identity, "centre": self._centre, "content": _digest(*_ordered(tensors))}
        unfinished = self.path.with_name(self.path.name + ".part")
        save_file(tensors, unfinished, {"record": json.dumps(record)})
        # Whatever ends the process, a file that has its name is whole.
        unfinished.replace(self.path)
        self._last = time.perf_counter()

    def write_if_due(self, table: Table) -> None:
        """Write if the last time is long enough ago."""
        if time.perf_counter() - self._last >= _EVERY:
            self.write(table)

    def compare(
        self, before: Mapping[str, float] | None, now: Mapping[str, float] | None, where: str, level: int = 5
    ) -> None:
        """Hold what was found at a point against what is found there now: data, objective and functions are the same.

        Raises:
            CheckpointError: If they are not.

        Warns:
            CheckpointWarning: If they repeat to rounding only.
        """
        if now == before:
            return
        known = None if now is None or before is None or now.keys() != before.keys() else before
        gaps = [] if now is None or known is None else [_gap(now[name], known[name]) for name in now]
        if not gaps or max(gaps) > self._most:
            apart = f" ({max(gaps):.1e} of them apart, more than rounding)" if gaps else ""
            raise CheckpointError(
                f"checkpoint: at {where}, {self.path} has {_said(before)}, and now it is {_said(now)}{apart}: the "
                "data, the objective or the functions are others. Take another file."
            )
        warnings.warn(
            f"checkpoint: the values at {where} in {self.path} and those made now differ by {max(gaps):.1e} of them, "
            "which is rounding: a kernel does not repeat, or the machine is another. The scan goes on, but not with "
            "the bits that it would have had.",
            CheckpointWarning,
            stacklevel=level,
        )


def opened(
    path: str | os.PathLike[str],
    landscape: Landscape,
    vectors: Tensor,
    axes: Sequence[Tensor],
    shared: int,
    centre: Mapping[str, float] | None,
) -> Store:
    """Return the store of a scan.

    Args:
        path: Of the file; its folder is made if it is not there.
        landscape: At θ.
        vectors: Directions as rows.
        axes: Coefficients along each.
        shared: Micro-batches whose first products are shared: bits depend on it.
        centre: Loss, metrics and functions at θ.

    Raises:
        ArgumentError: If ``path`` is none, or a folder.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise ArgumentError(f"checkpoint: expected the path of a file, got {path!r}.")
    file = Path(path)
    if file.is_dir():
        raise ArgumentError(f"checkpoint: expected a file, but {file} is a folder.")
    file.parent.mkdir(parents=True, exist_ok=True)
    identity = {
        "format": _FORMAT,
        "theta": _digest(landscape.theta),
        "directions": _digest(vectors),
        "grid": _digest(*axes),
        "shared": shared,
    }
    return Store(file, identity, centre, landscape.precision)


def _contents(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            record = json.loads(file.metadata()["record"])
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - no mapping
        intact = record["content"] == _digest(*_ordered(tensors)) and {"identity", "centre"} <= record.keys()
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise _damaged(path) from error
    if not intact:
        raise _damaged(path)
    return record, tensors


def _ordered(tensors: Mapping[str, Tensor]) -> list[Tensor]:
    return [tensors[name] for name in sorted(tensors)]


def _damaged(path: Path) -> CheckpointError:
    return CheckpointError(f"checkpoint: {path} is damaged, or no checkpoint of a scan. Remove it to start anew.")


def _gap(now: float, before: float) -> float:
    return abs(now - before) / max(abs(before), 1e-12) if math.isfinite(now) and math.isfinite(before) else math.inf


def _said(values: Mapping[str, float] | None) -> str:
    return "no finite loss" if values is None else ", ".join(f"{name} {value:.6g}" for name, value in values.items())


def _digest(*tensors: Tensor) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for tensor in tensors:
        flat = tensor.detach().cpu().flatten().contiguous()
        digest.update(str((flat.dtype, tuple(tensor.shape))).encode())
        digest.update(flat.view(torch.uint8).numpy().data)
    return digest.hexdigest()
