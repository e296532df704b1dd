"""Do skip connections flatten deep networks?

Li et al. (2018): without shortcuts the landscape of a deep network is chaotic, with them it is not; in shallow ones
they matter little. Perceptrons of width 32 with ReLU from He's initialisation, with L = 4 and L = 16 hidden layers
h + L^(-1/2) W ReLU(h), or W ReLU(h) without shortcuts; 1,500 images of Fashion-MNIST, 8 epochs, three seeds. The law
speaks of L = 16: one-step sharpness at radius 0.05 is at least twice as large without shortcuts and the largest
eigenvalue 1.5 times, in every seed, and 2.5 times in the median.

Three seeds are few, so seven more tell how often each ratio is met. At equal epochs the losses differ, so the plain
network is also trained on until its loss is that of the other one, and measured there; of that the law says nothing.
"""

from pathlib import Path

import torch
from _law import SEEDS, Finding, first_images, found, main, median, trained
from torch import Tensor, nn

import thalweg as tw

WIDTH, DEPTHS, EPOCHS, LONGEST, RADIUS = 32, (4, 16), 8, 60, 0.05
FURTHER = range(3, 10)
SHARPNESS, LARGEST, SMALLEST, LOSS = "S_0.05, one step", "λ_max", "λ_min", "loss"
LEAST = {SHARPNESS: 2.0, LARGEST: 1.5}

Images = tuple[Tensor, Tensor]


class Layer(nn.Module):
    """h + L^(-1/2) W ReLU(h), or W ReLU(h)."""

    def __init__(self, depth: int, skip: bool) -> None:
        super().__init__()
        self.linear = nn.Linear(WIDTH, WIDTH)
        self.scale = depth**-0.5 if skip else None

    def forward(self, h: Tensor) -> Tensor:
        """Go through the layer."""
        change: Tensor = self.linear(h.relu())
        return change if self.scale is None else h + self.scale * change


def network(depth: int, skip: bool, seed: int) -> nn.Module:
    """He's initialisation: normal weights of variance 2/fan_in, and no biases to begin with; the same for both."""
    generator = torch.Generator().manual_seed(seed)
    layers = [Layer(depth, skip) for _ in range(depth)]
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, WIDTH), *layers, nn.ReLU(), nn.Linear(WIDTH, 10))
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=(2 / layer.in_features) ** 0.5, generator=generator)
            nn.init.zeros_(layer.bias)
    return model


def measured(root: Path | None, quick: bool) -> list[Finding]:
    """Return the figures with and without shortcuts, their ratios, and whether these are what the law says."""
    images, findings = first_images(root, 1500), list[Finding]()
    for depth in DEPTHS[:1] if quick else DEPTHS:
        ratios = list[dict[str, float]]()
        for seed in SEEDS[:1] if quick else SEEDS:
            case = f"L = {depth}, seed {seed}"
            with_skip, plain = (_figures(depth, skip, images, seed, 1 if quick else EPOCHS) for skip in (True, False))
            findings += _listed(f"{case}, with shortcuts", with_skip) + _listed(f"{case}, without", plain)
            findings += _judged(case, depth, plain, with_skip)
            ratios.append({name: plain[name] / with_skip[name] for name in LEAST})
            if not quick:
                findings += _at_equal_loss(case, depth, images, seed, with_skip)
        if depth == DEPTHS[-1]:
            middle = median(ratio[LARGEST] for ratio in ratios)
            findings.append(found(f"L = {depth}", "median ratio of λ_max", middle, "at least 2.5", holds=middle >= 2.5))
            findings += _of_more(depth, images, ratios)
    return findings


def _judged(case: str, depth: int, plain: dict[str, float], skip: dict[str, float]) -> list[Finding]:
    findings = list[Finding]()
    for name, least in LEAST.items():
        ratio = plain[name] / skip[name]
        if depth == DEPTHS[-1]:
            findings.append(found(case, f"ratio of {name}", ratio, f"at least {least:g}", holds=ratio >= least))
        else:
            findings.append(found(case, f"ratio of {name}", ratio))
    return findings


def _of_more(depth: int, images: Images, ratios: list[dict[str, float]]) -> list[Finding]:
    """Say in how many of ten seeds the ratios are met, and what they are in the median."""
    for seed in FURTHER:
        skip, plain = (_figures(depth, kind, images, seed, EPOCHS) for kind in (True, False))
        ratios = [*ratios, {name: plain[name] / skip[name] for name in LEAST}]
    case, findings = f"L = {depth}, {len(ratios)} seeds", list[Finding]()
    for name, least in LEAST.items():
        met = sum(ratio[name] >= least for ratio in ratios)
        findings.append(found(case, f"seeds whose ratio of {name} is at least {least:g}", met))
        findings.append(found(case, f"median ratio of {name}", median(ratio[name] for ratio in ratios)))
    return findings


def _at_equal_loss(case: str, depth: int, images: Images, seed: int, skip: dict[str, float]) -> list[Finding]:
    """Train the plain network until its loss is at most that of the other one, if that comes to pass."""
    model = network(depth, False, seed)
    for epoch, state in trained(model, images, 50, 0.01, range(1, LONGEST + 1), seed).items():
        model.load_state_dict(state)
        landscape = _landscape(model, images, check=False)
        if landscape.loss() <= skip[LOSS]:
            plain = _measure(landscape)
            where = f"{case}, at equal loss"
            return [
                found(where, "epochs without shortcuts", epoch),
                found(where, f"ratio of {SHARPNESS}", plain[SHARPNESS] / skip[SHARPNESS]),
                found(where, f"ratio of {LARGEST}", plain[LARGEST] / skip[LARGEST]),
            ]
    return []


def _figures(depth: int, skip: bool, images: Images, seed: int, epochs: int) -> dict[str, float]:
    model = network(depth, skip, seed)
    model.load_state_dict(trained(model, images, 50, 0.01, [epochs], seed)[epochs])
    return _measure(_landscape(model, images, check=True))


def _measure(landscape: tw.Landscape) -> dict[str, float]:
    pairs = tw.eigenpairs(tw.hessian(landscape), 2, "BE", tol=1e-3, max_matvecs=600)
    rise = tw.sharpness(landscape, RADIUS)
    if rise.raw is None:
        raise RuntimeError("skip_connections: the gradient vanishes.")
    return {
        LARGEST: float(pairs.values[0]), SMALLEST: float(pairs.values[-1]), SHARPNESS: rise.raw,
        LOSS: landscape.loss(),
    }  # fmt: skip


def _landscape(model: nn.Module, images: Images, *, check: bool) -> tw.Landscape:
    return tw.Landscape(model, tw.objectives.cross_entropy(), [images], check=check)


def _listed(case: str, figures: dict[str, float]) -> list[Finding]:
    return [found(case, name, value) for name, value in figures.items()]


if __name__ == "__main__":
    main(__doc__ or "", measured)
