"""The trace from a sketch of the range, and random probes for the rest."""

import math

import torch

from thalweg.krylov._operator import SymmetricOperator
from thalweg.krylov._orthonormal import orthonormalised
from thalweg.krylov._probes import Distribution, draw_probes
from thalweg.progress import Progress


def hutch_plus_plus(
    operator: SymmetricOperator, products: int, distribution: Distribution, generator: torch.Generator, bar: Progress
) -> tuple[list[float], int]:
    r"""Return samples whose mean is an unbiased estimate of tr A, independent of each other given the sketch.

    .. math:: \operatorname{tr} Q^\top A Q + g^\top (I - QQ^\top) A (I - QQ^\top) g

    with Q an orthonormal basis of A S, S random (Meyer, Musco, Musco & Woodruff, 2021). A third of the products each
    go into A S, A Q and the samples; the error falls with 1/products where the eigenvalues decay, and is that of a
    third of the probes where they don't. Also returns the number of products made.
    """
    space = operator.space
    part = min(products // 3, space.size)
    sketch = operator @ draw_probes(space, part, distribution, generator)
    bar.advance(part)
    basis, _ = orthonormalised(space, sketch, generator)
    image = operator @ basis
    bar.advance(part)
    known = math.fsum(space.dot(q, w) for q, w in zip(basis.mT, image.mT, strict=True))
    if part == space.size:
        return [known, known], 2 * part
    count = products - 2 * part
    probes = space.without(basis, draw_probes(space, count, distribution, generator))
    image_of_rest = operator @ probes
    bar.advance(count)
    samples = [known + space.dot(g, w) for g, w in zip(probes.mT, image_of_rest.mT, strict=True)]
    return samples, 2 * part + count
