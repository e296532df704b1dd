"""Does the noise of gradients align with the curvature as a classifier learns?

Zhu et al. (2019, section 5), Thomas et al. (2020) and Xie et al. (2021): with cross-entropy the covariance Σ of single
gradients comes close to the Hessian. A perceptron 784-32-32-10 with ReLU, 1,000 images of Fashion-MNIST, three seeds,
after 0, 2 and 8 epochs of SGD: the cosine of Σ and H, Zhu's ratio P tr(HΣ)/(tr H tr Σ), and the quotients
v'Σv/λ in the leading nine eigenvectors of H.
"""

from pathlib import Path

import torch
from _law import SEEDS, Finding, first_images, found, main, trained

import thalweg as tw

EPOCHS, LEADING, PRODUCTS = (0, 2, 8), 9, 160


def measured(root: Path | None, quick: bool) -> list[Finding]:
    """Return the figures of every seed and epoch, and whether they are what the law says."""
    images = first_images(root, 1000)
    findings = list[Finding]()
    for seed in SEEDS[:1] if quick else SEEDS:
        model = tw.models.mlp((784, 32, 32, 10), generator=torch.Generator().manual_seed(seed))
        start = None
        for epoch, state in trained(model, images, 50, 0.05, EPOCHS[:2] if quick else EPOCHS, seed).items():
            model.load_state_dict(state)
            landscape = tw.Landscape(model, tw.objectives.cross_entropy(), [images])
            curvature = tw.hessian(landscape)
            top = tw.eigenpairs(curvature, LEADING)
            noise = tw.gradient_covariance(landscape)
            aligned = tw.alignment(noise, curvature, top=top, products=PRODUCTS)
            start = aligned if start is None else start
            findings += _judged(f"seed {seed}, epoch {epoch}", epoch, aligned, start)
    return findings


def _judged(case: str, epoch: int, aligned: tw.Alignment, start: tw.Alignment) -> list[Finding]:
    cosine, zhu, first = aligned.cosine, aligned.zhu, start.zhu
    if cosine is None or zhu is None or first is None or aligned.quotients is None or aligned.values is None:
        raise RuntimeError("noise_alignment: a trace may be zero.")
    quotient = float((aligned.quotients / aligned.values).median())
    if epoch == 0:
        return [found(case, "cos(Σ, H)", cosine.value), found(case, "Zhu's ratio", zhu.value)]
    growth = zhu.value / first.value
    judged = epoch == 2
    return [
        found(case, "cos(Σ, H)", cosine.value, "at least 0.6", holds=cosine.value >= 0.6 if judged else None),
        found(case, "± of the cosine", cosine.standard_error or 0.0),
        found(case, "Zhu's ratio", zhu.value),
        found(case, "Zhu's ratio over the first", growth, "at least 2", holds=growth >= 2 if judged else None),
        found(case, "median v'Σv/λ", quotient, "0.3 to 1.5", holds=0.3 <= quotient <= 1.5 if judged else None),
    ]


if __name__ == "__main__":
    main(__doc__ or "", measured)
