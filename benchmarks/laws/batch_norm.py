"""Does batch norm suppress outliers of the Hessian, and the gradient's concentration in their directions?

Ghorbani, Krishnan & Xiao (2019, section 4). A perceptron 784-48-48-48-10 with ReLU from He's initialisation, with and
without batch norm, 1,500 images of Fashion-MNIST, 10 epochs, three seeds; measured in train mode, all images one batch.
The law asks that the largest eigenvalue, its ratio to the 15th, and the share of the gradient in the span of the
leading ten eigenvectors are at least halved in every seed.
"""

from pathlib import Path

import torch
from _law import SEEDS, Finding, first_images, found, main, trained
from torch import Tensor, nn

import thalweg as tw

EPOCHS = (2, 10)


def measured(root: Path | None, quick: bool) -> list[Finding]:
    """Return the three figures with and without, and whether each is halved."""
    images = first_images(root, 1500)
    findings = list[Finding]()
    for seed in SEEDS[:1] if quick else SEEDS:
        figures = {norm: _figures(norm, images, seed, EPOCHS[:1] if quick else EPOCHS) for norm in (False, True)}
        for epoch in figures[True]:
            case = f"seed {seed}, epoch {epoch}"
            for name, plain in figures[False][epoch].items():
                normed = figures[True][epoch][name]
                findings += [
                    found(f"{case}, without batch norm", name, plain),
                    found(f"{case}, with batch norm", name, normed),
                ]
                if epoch == EPOCHS[-1]:
                    share = normed / plain
                    findings.append(found(case, f"{name}, share left", share, "at most 0.5", holds=share <= 0.5))
    return findings


def _figures(
    norm: bool, images: tuple[Tensor, Tensor], seed: int, epochs: tuple[int, ...]
) -> dict[int, dict[str, float]]:
    model = _network(norm, seed)
    figures = {}
    for epoch, state in trained(model, images, 100, 0.05, epochs, seed).items():
        model.load_state_dict(state)
        landscape = tw.Landscape(model, tw.objectives.cross_entropy(), [images], mode="train")
        pairs = tw.eigenpairs(tw.hessian(landscape), 15)
        shares = tw.anisotropy(landscape.gradient(), pairs).shares
        if shares is None:
            raise RuntimeError("batch_norm: the gradient vanishes.")
        figures[epoch] = {
            "λ1": float(pairs.values[0]),
            "λ1/λ15": float(pairs.values[0] / pairs.values[14]),
            "gradient energy in the top 10": float(shares[9]),
        }
    return figures


def _network(norm: bool, seed: int) -> nn.Module:
    """He's initialisation: normal weights of variance 2/fan_in, and no biases to begin with."""
    generator = torch.Generator().manual_seed(seed)
    model = tw.models.mlp((784, 48, 48, 48, 10), norm="batch" if norm else None)
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=(2 / layer.in_features) ** 0.5, generator=generator)
            nn.init.zeros_(layer.bias)
    return model


if __name__ == "__main__":
    main(__doc__ or "", measured)
