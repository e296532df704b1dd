"""The trace from a sketch of the range, and random probes for the rest."""

import math

import torch

from thalweg.estimate import Estimate
from thalweg.krylov._operator import SymmetricOperator
from thalweg.krylov._orthonormal import orthonormalised
from thalweg.krylov._probes import Distribution, draw_probes
from thalweg.krylov._spread import Forms
from thalweg.progress import Progress


def hutch_plus_plus(
    operator: SymmetricOperator, products: int, distribution: Distribution, generator: torch.Generator, bar: Progress
) -> tuple[Estimate, int]:
    r"""Return an unbiased estimate of tr A with the spread of its probes given the sketch, and the products made.

    .. math:: \operatorname{tr} Q^\top A Q + g^\top (I - QQ^\top) A (I - QQ^\top) g

    with Q an orthonormal basis of A S, S random (Meyer, Musco, Musco & Woodruff, 2021). A third of the products each
    go into A S, A Q and the samples; the error falls with 1/products where the eigenvalues decay, and is that of a
    third of the probes where they don't.
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
        return Estimate(known, 0.0), 2 * part
    count = products - 2 * part
    drawn = draw_probes(space, count, distribution, generator)
    probes = space.without(basis, drawn)
    image_of_rest = space.without(basis, operator @ probes)
    bar.advance(count)
    forms = Forms(space, distribution, space.size - part)
    for each in zip(drawn.mT, probes.mT, image_of_rest.mT, strict=True):
        forms.add(*each)
    return forms.estimate(known), 2 * part + count
