"""Does the Hessian of a classifier have about as many outliers as classes?

Sagun et al. (2017) and Papyan (2018, 2020): early in training C - 1 eigenvalues of a network of C classes stand apart
from the bulk; at its initialisation none do. A perceptron 784-64-64-10 with ReLU and 2,000 images of Fashion-MNIST,
three seeds: the ratios of successive eigenvalues of the whole Hessian among the 4th to the 20th.
"""

from pathlib import Path

import torch
from _law import SEEDS, Finding, first_images, found, main, trained

import thalweg as tw

CLASSES, TOP, EPOCHS = 10, 25, (0, 1, 2, 8)


def measured(root: Path | None, quick: bool) -> list[Finding]:
    """Return the ratios, and whether they are what the law says."""
    images = first_images(root, 2000)
    findings = list[Finding]()
    for seed in SEEDS[:1] if quick else SEEDS:
        model = tw.models.mlp((784, 64, 64, CLASSES), generator=torch.Generator().manual_seed(seed))
        for epoch, state in trained(model, images, 50, 0.05, EPOCHS[:2] if quick else EPOCHS, seed).items():
            model.load_state_dict(state)
            landscape = tw.Landscape(model, tw.objectives.cross_entropy(), [images])
            values = tw.eigenpairs(tw.hessian(landscape), TOP).values
            ratios = {i: float(values[i - 1] / values[i]) for i in range(4, 21)}
            place = max(ratios, key=lambda i: ratios[i])
            findings += _judged(f"seed {seed}, epoch {epoch}", epoch, ratios, place)
    return findings


def _judged(case: str, epoch: int, ratios: dict[int, float], place: int) -> list[Finding]:
    gap, largest = ratios[CLASSES - 1], ratios[place]
    if epoch == 0:
        return [found(case, "largest ratio", largest, "at most 1.25", holds=largest <= 1.25)]
    if epoch == 1:
        return [
            found(case, "index of the largest ratio", place, f"{CLASSES - 1}", holds=place == CLASSES - 1),
            found(case, "λ9/λ10", gap, "at least 1.8", holds=gap >= 1.8),
        ]
    return [found(case, "index of the largest ratio", place), found(case, "λ9/λ10", gap)]


if __name__ == "__main__":
    main(__doc__ or "", measured)
