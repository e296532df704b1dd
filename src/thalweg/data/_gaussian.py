"""Gaussian classes whose geometry is known in closed form."""

import torch
from scipy.linalg import helmert
from torch import Tensor
from torch.nn import functional

from thalweg.data._dataset import Dataset
from thalweg.errors import ArgumentError


def gaussian(
    dimension: int,
    samples: int,
    classes: int,
    *,
    noise: float,
    separation: float,
    intrinsic_dimension: int | None = None,
    test_samples: int | None = None,
    generator: torch.Generator | None = None,
) -> Dataset:
    r"""Draw classes from Gaussians of unit variance around the corners of a simplex.

    Class c is :math:`x = U(\mu_c + z)` with :math:`z \sim N(0, I_m)`, where U is a random orthonormal frame
    of m = ``intrinsic_dimension`` vectors in :math:`R^d`, and the means sum to zero and lie at distance
    ``separation`` from each other. So inputs have exact rank m, the covariance within a class is
    :math:`UU^\top`, and for two classes without noise the best possible error rate is
    :math:`\Phi(-\mathrm{separation}/2)`.

    Classes are balanced to within one item. Each training label is replaced, with probability ``noise``,
    by one of the other classes drawn uniformly; test labels are left clean. Nothing is standardised.

    Args:
        dimension: Features d of an input.
        samples: Training items.
        classes: At least 2.
        noise: Probability that a training label is wrong, in [0, 1].
        separation: Distance between any two class means, in standard deviations, at least 0.
        intrinsic_dimension: m, from ``classes`` − 1 (what the simplex needs) to d; ``None`` means d.
        test_samples: Test items; ``None`` means as many as for training.
        generator: Draws everything; ``None`` means seed 0.

    Returns:
        Inputs of shape (N, dimension), float32.

    Raises:
        ArgumentError: If an argument is out of range.

    Example:
        >>> data = gaussian(20, 256, 3, noise=0.1, separation=4.0, intrinsic_dimension=5)
        >>> int(torch.linalg.matrix_rank(data.train_inputs))
        5
    """
    rank = dimension if intrinsic_dimension is None else intrinsic_dimension
    test_samples = samples if test_samples is None else test_samples
    if classes < 2:
        raise ArgumentError(f"classes: expected at least 2, got {classes}.")
    if samples < 1:
        raise ArgumentError(f"samples: expected at least 1, got {samples}.")
    if test_samples < 0:
        raise ArgumentError(f"test_samples: expected at least 0, got {test_samples}.")
    if not classes - 1 <= rank <= dimension:
        raise ArgumentError(
            f"intrinsic_dimension: expected from classes - 1 = {classes - 1} to dimension = {dimension}, got {rank}."
        )
    if not 0 <= noise <= 1:
        raise ArgumentError(f"noise: expected a probability in [0, 1], got {noise}.")
    if not 0 <= separation < float("inf"):
        raise ArgumentError(f"separation: expected a finite number of at least 0, got {separation}.")
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    frame = _frame(dimension, rank, generator)
    means = _simplex(classes, rank) * separation

    def drawn(count: int) -> tuple[Tensor, Tensor]:
        targets = torch.randperm(count, generator=generator, device=generator.device).cpu() % classes
        inputs = (means[targets] + _normal(count, rank, generator=generator)) @ frame.mT
        return inputs.to(torch.float32), targets

    train_inputs, clean = drawn(samples)
    test_inputs, test_targets = drawn(test_samples)
    wrong = torch.rand(samples, generator=generator, device=generator.device).cpu() < noise
    shift = torch.randint(1, classes, (samples,), generator=generator, device=generator.device).cpu()
    return Dataset(
        name="gaussian",
        train_inputs=train_inputs,
        train_targets=torch.where(wrong, (clean + shift) % classes, clean),
        test_inputs=test_inputs,
        test_targets=test_targets,
        classes=tuple(str(label) for label in range(classes)),
        mean=torch.zeros(1),
        std=torch.ones(1),
    )


def _normal(*shape: int, generator: torch.Generator) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=generator, device=generator.device).cpu()


def _frame(dimension: int, rank: int, generator: torch.Generator) -> Tensor:
    """Return orthonormal columns, uniform over all frames: the signs undo the convention of the QR routine."""
    q, r = torch.linalg.qr(_normal(dimension, rank, generator=generator))
    frame: Tensor = q * r.diagonal().sign()
    return frame


def _simplex(corners: int, dimension: int) -> Tensor:
    """Return corners of a regular simplex with edges of length 1 around the origin, shape (corners, dimension)."""
    # Unit vectors are 2^½ apart; Helmert's rows are an orthonormal basis of the plane that they span around their mean.
    coordinates = torch.from_numpy(helmert(corners)).mT / 2**0.5
    return functional.pad(coordinates, (0, dimension - corners + 1))
