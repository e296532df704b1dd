"""What do the top 20 eigenvalues of a Hessian cost?

A multi-layer perceptron 784-256-256-10 (269,322 parameters), trained for two epochs on Fashion-MNIST, its Hessian on
1,024 images: the time to the 20 largest eigenvalues within 1e-4·λ₁, against ``scipy.sparse.linalg.eigsh`` (ARPACK)
on the operator of curvlinops, in turn and in one process. Ours includes the search for missed copies.
"""

import statistics
import time
import warnings

import numpy as np
import torch
from _records import Record, arguments, finish
from torch import nn

import thalweg as tw

CASE = "top 20 of an MLP's Hessian"
# Of the errors of eigenvalues, and for both contestants of the residuals.
TOP, WANTED = 20, 1e-4


def trained(data: tw.data.Dataset, seed: int) -> nn.Module:
    """Train the perceptron for two epochs."""
    generator = torch.Generator().manual_seed(seed)
    model = nn.Sequential(nn.Flatten(), tw.models.mlp((784, 256, 256, 10), generator=generator))
    objective = tw.objectives.cross_entropy()
    tw.train(model, objective, data, epochs=2, batch_size=128, lr=0.05, momentum=0.9, generator=generator)
    return model


def ours(model: nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> tuple[np.ndarray, int]:
    """From the model to the eigenvalues, construction and its checks included."""
    landscape = tw.Landscape(model, tw.objectives.cross_entropy(), [batch])
    pairs = tw.eigenpairs(tw.hessian(landscape), TOP, tol=WANTED)
    if not (pairs.complete and pairs.converged.all()):
        raise RuntimeError("spectra: the eigenvalues did not converge.")
    return pairs.values.numpy(), pairs.matvecs


def arpack(model: nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> tuple[np.ndarray, int]:
    """The same by curvlinops and ARPACK, without its optional checks of determinism."""
    from curvlinops import HessianLinearOperator
    from scipy.sparse.linalg import LinearOperator, eigsh

    parameters = list(model.parameters())
    operator = HessianLinearOperator(
        model, nn.CrossEntropyLoss(), parameters, [batch], check_deterministic=False
    ).to_scipy()
    products = 0

    def counted(v: np.ndarray) -> np.ndarray:
        nonlocal products
        products += 1
        return operator @ v

    wrapped = LinearOperator(operator.shape, matvec=counted, dtype=np.float32)
    start = np.random.default_rng(0).standard_normal(operator.shape[0]).astype(np.float32)
    values = eigsh(wrapped, k=TOP, which="LA", tol=WANTED, v0=start, return_eigenvectors=False)
    return np.sort(values)[::-1], products


def reference(model: nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> np.ndarray:
    """Converged in double precision."""
    landscape = tw.Landscape(model, tw.objectives.cross_entropy(), [batch], dtype=torch.float64)
    return tw.eigenpairs(tw.hessian(landscape), TOP, tol=1e-9).values.numpy()


def main() -> None:
    """Run the contestants in turn, on several networks."""
    options = arguments(__doc__ or "")
    data = tw.data.fashion_mnist(options.data_root)
    batch = data.batches("train", limit=1024)[0]
    contestants = {"thalweg": ("ours", ours), "curvlinops + ARPACK": ("peer", arpack)}
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    products: dict[str, list[int]] = {name: [] for name in contestants}
    errors: dict[str, list[float]] = {name: [] for name in contestants}
    for seed in range(1 if options.quick else 3):
        model = trained(data.subset(train=6000) if options.quick else data, seed)
        truth = reference(model, batch)
        for _ in range(2 if options.quick else 5):
            for name, (_, contestant) in contestants.items():
                started = time.perf_counter()
                values, count = contestant(model, batch)
                seconds[name].append(time.perf_counter() - started)
                products[name].append(count)
                errors[name].append(float(np.abs(values - truth).max() / truth[0]))
    if max(map(max, errors.values())) > WANTED:
        raise RuntimeError(f"spectra: an answer is wrong by more than {WANTED:g} of λ₁: {errors}.")
    records = []
    for name, (role, _) in contestants.items():
        error = max(errors[name])
        records.append(Record(CASE, name, role, "median products", statistics.median(products[name]), "", error))
        records.append(Record(CASE, name, role, "median time", statistics.median(seconds[name]), "s", error))
    ratios = [mine / theirs for mine, theirs in zip(*seconds.values(), strict=True)]
    records.append(
        Record(
            CASE, "thalweg", "ours", "median time ratio", statistics.median(ratios), "of ARPACK", max(errors["thalweg"])
        )
    )
    finish(records, options.json)


if __name__ == "__main__":
    warnings.simplefilter("ignore", FutureWarning)
    main()
