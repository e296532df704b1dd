"""How much of a matrix lies between which groups of parameters."""

import math
import time

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.estimate import Cost
from thalweg.krylov._operator import require_whole
from thalweg.landscape import Layout
from thalweg.landscape._grouping import Grouping, grouped
from thalweg.measures._block_structure_results import BlockStructure, Samples
from thalweg.operators import Operator
from thalweg.operators._composite import layout_of, require_operator
from thalweg.progress import Progress, track
from thalweg.vectors import VectorSpace

_BLOCK = 8


def block_structure(
    operator: Operator,
    by: Grouping = "layer",
    *,
    probes: int = 32,
    generator: torch.Generator | None = None,
    progress: bool | Progress = False,
) -> BlockStructure:
    r"""Estimate the norm of every block of a matrix, and the share of the matrix in its diagonal blocks.

    .. math:: \mathbb{E}\, \lVert (A z)_g \rVert^2 = \lVert A_{gh} \rVert_F^2

    for z drawn uniformly from the sphere of radius :math:`\sqrt{m_h}` in the m_h entries of group h, and zero elsewhere
    (Hutchinson, 1990, for :math:`A_{gh}^\top A_{gh}`). One product gives a whole column of blocks. Blocks (g, h) and
    (h, g) have the same norm, and probes of either group have the same variance but for terms in 1/m, so that the
    samples of both are pooled. A group of at most ``probes`` entries is multiplied entry by entry instead: its row and
    its column are exact.

    The share of :math:`\lVert A \rVert_F^2` in the diagonal blocks says how much of the matrix a layerwise method can
    see. Its error comes from the delta method, by group.

    Where a block is of rank one, samples are skewed as χ² with one degree of freedom is: 95 % intervals of 32 pooled
    samples then cover in some 91 % of runs.

    Cost: groups × probes products with the whole matrix, fewer for small groups; memory of some 8 vectors and their
    products at a time.

    Args:
        operator: A curvature matrix of a landscape, or what wrappers have made of it.
        by: Groups of parameters as for :func:`thalweg.block_spectra`.
        probes: Random vectors a group, at least 2.
        generator: Of the probes; ``None`` is a fresh one of seed 0.
        progress: Whether to show a bar, or what to report every product to.

    Raises:
        ArgumentError: If an argument has a wrong value, the operator is not known to run over parameters, a group is
            empty, two share a parameter, or one is left over.
        NonFiniteError: If a product is not finite.

    Example:
        >>> import thalweg as tw
        >>> model = torch.nn.Sequential(torch.nn.Linear(1, 1, bias=False), torch.nn.Linear(1, 1, bias=False)).double()
        >>> for layer in model:
        ...     _ = torch.nn.init.ones_(layer.weight)
        >>> x = torch.ones(1, 1, dtype=torch.float64)
        >>> landscape = tw.Landscape(model, tw.objectives.squared_error(), [(x, 0 * x)])  # ½ (uv)² at u = v = 1
        >>> found = block_structure(tw.hessian(landscape))
        >>> found.norms
        tensor([[1., 2.],
                [2., 1.]], dtype=torch.float64)
        >>> print(found.share)
        0.2
    """
    require_operator(operator)
    require_whole("probes", probes)
    if probes < 2:
        raise ArgumentError(f"probes: expected at least 2, since one has no spread, got {probes}.")
    layout = layout_of(operator)
    if layout is None:
        raise ArgumentError(
            f"operator: expected one that runs over the parameters of a model, got {operator!r}, whose vectors have no "
            "names."
        )
    space = operator.space
    groups = grouped(layout, by, space.dtype)
    of_parameter = _group_of(layout, groups)
    sizes = np.bincount(of_parameter, weights=layout.sizes).astype(int)
    started, samples = time.perf_counter(), list[Samples]()
    source = torch.Generator().manual_seed(0) if generator is None else generator
    with track(sum(min(int(size), probes) for size in sizes), "block structure", progress) as bar:
        for name, members in groups.items():
            places = layout.places(members, space.device)
            exact = len(places) <= probes
            count, rows = min(len(places), probes), list[NDArray[np.float64]]()
            for start in range(0, count, _BLOCK):
                few = min(_BLOCK, count - start)
                image = operator @ _embedded(operator, places, start, few, None if exact else source)
                rows.append(_by_group(image, layout, of_parameter, len(groups)))
                bar.advance(few, note=name)
            samples.append(Samples(np.concatenate(rows), exact))
    products = sum(len(one.squares) for one in samples)
    cost = Cost(matvecs=products, seconds=time.perf_counter() - started)
    return BlockStructure.of(samples, groups, tuple(map(int, sizes)), cost, operator.provenance)


def _embedded(operator: Operator, places: Tensor, start: int, count: int, generator: torch.Generator | None) -> Tensor:
    """Probes of some entries, or unit vectors of those from ``start`` on where nothing is to be drawn."""
    space, size = operator.space, len(places)
    block = space.zeros(count)
    if generator is None:
        block[places[start : start + count], torch.arange(count, device=space.device)] = 1
        return block
    drawn = VectorSpace(size, space.dtype, space.device).randn(generator, count).mT
    block.mT[:, places] = drawn * (math.sqrt(size) / torch.linalg.vector_norm(drawn, dim=1, keepdim=True))
    return block


def _by_group(image: Tensor, layout: Layout, of_parameter: NDArray[np.intp], groups: int) -> NDArray[np.float64]:
    """Squared norms of each group's part, (k, groups)."""
    squares = np.zeros((image.shape[1], groups))
    for group, part in zip(of_parameter, torch.split(image.mT, layout.sizes, dim=1), strict=True):
        norms = torch.linalg.vector_norm(part, dim=1, dtype=torch.float64)
        squares[:, group] += norms.square().cpu().numpy()
    return squares


def _group_of(layout: Layout, groups: dict[str, tuple[str, ...]]) -> NDArray[np.intp]:
    """The number of each parameter's group."""
    number = {name: index for index, members in enumerate(groups.values()) for name in members}
    return np.array([number[name] for name in layout.names])
