"""K-FAC and EKFAC against closed forms, naive twins, the dense GGN, and curvlinops called directly."""

import math

import pytest
import torch
from torch import nn

import thalweg as tw
from tests.landscape.models import classes, cnn, generator, mlp, randn, scrambled
from tests.operators.kronecker_twin import (
    BINARY,
    BOTH,
    CONVOLUTIONAL,
    CROSS,
    HALF,
    MSE,
    Mixing,
    close,
    cut,
    dense_matrix,
    diagonal_blocks,
    factors,
    labels,
    naive_kfac,
    positions,
    ragged,
)
from thalweg.operators._kfac import ekfac, kfac

curvlinops = pytest.importorskip("curvlinops")


# ------------------------------------------------------------------ closed forms


@BOTH
@pytest.mark.parametrize(("objective", "factor"), [(HALF, 1.0), (MSE, 2 / 3)], ids=["half", "mse"])
def test_a_linear_model_under_a_squared_error(make, objective, factor):
    """K = B ⊗ A = I ⊗ (1/N) Σ aaᵀ, the GGN itself; torch's mean over entries makes it 2/C of that."""
    model = scrambled(nn.Sequential(nn.Linear(4, 3, bias=False)).double())
    data = ragged(objective, 4)
    inputs = torch.cat([inputs for inputs, _ in data])
    landscape = tw.Landscape(model, objective, data)
    close(make(landscape).dense(), torch.kron(factor * torch.eye(3).double(), inputs.mT @ inputs / 7))
    close(make(landscape).dense(), dense_matrix(model, objective, data, ["0.weight"]))


@BOTH
@pytest.mark.parametrize("kind", ["ggn", "empirical"])
def test_one_item_and_one_layer_are_exact(make, kind):
    model = scrambled(nn.Linear(4, 3).double())
    data = [(randn(1, 4), classes(1))]
    expected = dense_matrix(model, CROSS, data, ["weight", "bias"], kind)
    close(make(tw.Landscape(model, CROSS, data), kind=kind).dense(), expected)


@BOTH
@pytest.mark.parametrize("objective", [CROSS, BINARY, MSE, HALF], ids=lambda objective: objective.name)
def test_one_item_makes_every_block_exact(make, objective):
    model = mlp()
    data = [(randn(1, 4), labels(objective, 1))]
    expected = dense_matrix(model, objective, data, list(dict(model.named_parameters())))
    close(make(tw.Landscape(model, objective, data)).dense(), diagonal_blocks(expected, [25, 18]))


@BOTH
def test_deep_linear_networks_under_a_squared_error(make):
    model = scrambled(nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2), nn.Linear(2, 3)).double())
    data = ragged(HALF, 4)
    expected = dense_matrix(model, HALF, data, list(dict(model.named_parameters())))
    close(make(tw.Landscape(model, HALF, data)).dense(), diagonal_blocks(expected, [15, 8, 9]))


def test_expand_is_exact_where_every_position_is_a_target():
    """Linear layers on 5 positions, a target each: expand is the GGN (Eschenhagen et al., 2023), reduce is not."""
    model = scrambled(nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2)).double())
    data = cut(randn(7, 5, 4), randn(7, 5, 2, seed=1), 5, 2)
    landscape = tw.Landscape(model, HALF, data)
    # ½‖f − y‖² of an item is the sum over its 5 positions.
    flat = [(x.flatten(end_dim=1), y.flatten(end_dim=1)) for x, y in data]
    expected = 5 * dense_matrix(model, HALF, flat, list(dict(model.named_parameters())))
    close(kfac(landscape).dense(), diagonal_blocks(expected, [15, 8]))
    assert float((kfac(landscape, sharing="reduce").dense() - kfac(landscape).dense()).norm()) > 0.1
    per_entry = kfac(tw.Landscape(model, MSE, data))
    close(per_entry.dense(), kfac(landscape).dense() * 2 / 10)


def test_reduce_is_exact_where_positions_are_averaged():
    class Mean(nn.Module):
        def forward(self, x):
            return x.mean(dim=1)

    model = scrambled(nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2), Mean()).double())
    data = cut(randn(7, 5, 4), randn(7, 2, seed=1), 5, 2)
    expected = dense_matrix(model, HALF, data, list(dict(model.named_parameters())))
    landscape = tw.Landscape(model, HALF, data)
    close(kfac(landscape, sharing="reduce").dense(), diagonal_blocks(expected, [15, 8]))
    assert float((kfac(landscape).dense() - diagonal_blocks(expected, [15, 8])).norm()) > 0.01


# ------------------------------------------------------------------ the naive twin of the factors


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize(
    ("objective", "kind"),
    [(CROSS, "ggn"), (BINARY, "ggn"), (MSE, "ggn"), (HALF, "ggn"), (CROSS, "empirical"), (HALF, "empirical")],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
@pytest.mark.parametrize("activation", [nn.Tanh, nn.ReLU])
def test_factors_of_an_mlp(objective, kind, separate, activation):
    model, data = mlp(activation), ragged(objective, 4)
    found = kfac(tw.Landscape(model, objective, data), kind=kind, separate_bias=separate)
    close(found.dense(), naive_kfac(model, objective, data, kind, separate=separate))


@pytest.mark.parametrize("sharing", ["expand", "reduce"])
@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize(
    "first",
    [
        lambda: nn.Conv2d(2, 3, 3),
        lambda: nn.Conv2d(2, 3, (2, 3), stride=2, padding=1, bias=False),
        lambda: nn.Conv2d(2, 3, 2, dilation=2, padding=(0, 1)),
    ],
    ids=["plain", "strided", "dilated"],
)
def test_factors_of_convolutions(first, sharing, separate):
    layers = [first(), nn.Tanh(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, 3)]
    model, data = scrambled(nn.Sequential(*layers).double()), ragged(CROSS, 2, 5, 5)
    found = kfac(tw.Landscape(model, CROSS, data), sharing=sharing, separate_bias=separate)
    close(found.dense(), naive_kfac(model, CROSS, data, sharing=sharing, separate=separate))


def test_padding_that_is_named():
    data = ragged(CROSS, 1, 4, 4)
    tail = [nn.Tanh(), nn.Flatten(), nn.Linear(32, 3)]
    named, spelled = (
        scrambled(nn.Sequential(nn.Conv2d(1, 2, 3, padding=padding), *tail).double()) for padding in ("same", 1)
    )
    close(kfac(tw.Landscape(named, CROSS, data)).dense(), naive_kfac(spelled, CROSS, data))


@pytest.mark.parametrize("kind", ["ggn", "empirical"])
@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("which", ["mlp", "convolutions"])
def test_ekfac_has_the_right_diagonal_in_the_eigenbasis(which, separate, kind):
    """Eigenvectors of the naive factors; eigenvalues from the diagonal of the dense GGN in their basis."""
    if which == "mlp":
        model, data = mlp(), ragged(CROSS, 4)
    else:
        layers = [nn.Conv2d(1, 2, 2), nn.Tanh(), nn.Flatten(), nn.Linear(8, 3)]
        model, data = scrambled(nn.Sequential(*layers).double()), ragged(CROSS, 1, 3, 3)
    names = list(dict(model.named_parameters()))
    exact = dense_matrix(model, CROSS, data, names, kind)
    vectors, sizes = [], []
    for at, layer in enumerate(model):
        if isinstance(layer, (nn.Linear, nn.Conv2d)):
            A, B = factors(model, at, CROSS, data, kind, bias=not separate)
            QA, QB = torch.linalg.eigh(A)[1], torch.linalg.eigh(B)[1]
            if separate:
                vectors += [torch.kron(QB, QA), QB]
                sizes += [len(A) * len(B), len(B)]
            else:
                Q, index = torch.kron(QB, QA), torch.arange(len(A) * len(B)).view(len(B), -1)
                vectors.append(Q[torch.cat([index[:, :-1].reshape(-1), index[:, -1]])])
                sizes.append(len(A) * len(B))
    Q = torch.block_diag(*vectors)
    expected = Q @ torch.diag((Q.mT @ exact @ Q).diagonal()) @ Q.mT
    landscape = tw.Landscape(model, CROSS, data)
    found = ekfac(landscape, kind=kind, separate_bias=separate)
    close(found.dense(), expected, rtol=1e-9)
    # The trace is that of the matrix itself, and nothing in the eigenbasis is closer.
    assert found.trace() == pytest.approx(float(exact.trace()), rel=1e-12)
    blocks = diagonal_blocks(exact, sizes)
    assert float((blocks - found.dense()).norm()) < float(
        (blocks - kfac(landscape, kind=kind, separate_bias=separate).dense()).norm()
    )


# ------------------------------------------------------------------ curvlinops itself


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize(
    ("kind", "fisher", "draws"),
    [("ggn", "type-2", 1), ("monte-carlo", "mc", 1), ("monte-carlo", "mc", 3), ("empirical", "empirical", 1)],
)
@pytest.mark.parametrize("which", ["mlp", "cnn"])
@BOTH
def test_agrees_with_curvlinops_and_its_own_means(make, which, kind, fisher, draws, separate):
    model = (mlp() if which == "mlp" else cnn()).eval()
    data = ragged(CROSS, *((4,) if which == "mlp" else (1, 6, 6)))
    params = None if which == "mlp" else CONVOLUTIONAL
    source = generator(5) if kind == "monte-carlo" else None
    found = make(
        tw.Landscape(model, CROSS, data, params=params),
        kind=kind,
        draws=draws,
        generator=source,
        separate_bias=separate,
    )
    seed = int(torch.randint(2**63 - 1, (1,), generator=generator(5)))
    chosen = [p for name, p in model.named_parameters() if params is None or name.split(".")[0] in ("0", "5")]
    peer = (curvlinops.KFACLinearOperator if make is kfac else curvlinops.EKFACLinearOperator)(
        model,
        nn.CrossEntropyLoss(),
        chosen,
        data,
        fisher_type=fisher,
        mc_samples=draws,
        seed=seed,
        separate_weight_and_bias=separate,
        check_deterministic=False,
    )
    block = found.space.randn(generator(1), 3)
    close(found @ block, peer @ block.contiguous())
    assert found.trace() == pytest.approx(float(peer.trace), rel=1e-10)
    assert found.frobenius_norm() == pytest.approx(float(peer.frobenius_norm), rel=1e-10)
    inverse = curvlinops.KFACInverseLinearOperator(peer, damping=0.03, use_exact_damping=True)
    close(found.inverse(0.03) @ block, inverse @ block.contiguous())


@pytest.mark.parametrize(
    ("objective", "loss"), [(MSE, nn.MSELoss), (BINARY, nn.BCEWithLogitsLoss)], ids=["mse", "binary"]
)
@pytest.mark.parametrize("kind", ["ggn", "monte-carlo"])
def test_agrees_with_curvlinops_on_entries(objective, loss, kind):
    model, data = mlp(), ragged(objective, 4)
    found = kfac(tw.Landscape(model, objective, data), kind=kind)
    seed = int(torch.randint(2**63 - 1, (1,), generator=generator(0)))
    peer = curvlinops.KFACLinearOperator(
        model,
        loss(),
        list(model.parameters()),
        data,
        fisher_type={"ggn": "type-2", "monte-carlo": "mc"}[kind],
        seed=seed,
        separate_weight_and_bias=False,
        check_deterministic=False,
    )
    v = found.space.randn()
    close(found @ v, peer @ v)


# ------------------------------------------------------------------ Monte Carlo


@BOTH
@pytest.mark.parametrize("objective", [CROSS, BINARY, MSE, HALF], ids=lambda objective: objective.name)
def test_monte_carlo_is_unbiased(make, objective):
    """Factors of drawn gradients average to those of second derivatives; A is the same, so K is linear in B."""
    model, data = scrambled(nn.Sequential(nn.Linear(4, 3)).double()), ragged(objective, 4)
    landscape, runs = tw.Landscape(model, objective, data), 100
    source = generator(3)
    traces = torch.tensor(
        [make(landscape, kind="monte-carlo", draws=4, generator=source).trace() for _ in range(runs)],
        dtype=torch.float64,
    )
    expected = make(landscape).trace()
    error = float(traces.std()) / math.sqrt(runs)
    assert abs(float(traces.mean()) - expected) < 4 * error
    assert error < 0.05 * expected


def test_monte_carlo_at_many_positions_is_unbiased():
    """The case in which the exact matrix is refused: attention mixes the positions of its targets."""
    landscape = tw.Landscape(*positions(Mixing()))
    exact = positions_factor(Mixing(), landscape)
    runs = 150
    source = generator(1)
    found = [kfac(landscape, kind="monte-carlo", generator=source, separate_bias=True) for _ in range(runs)]
    # The bias's block is B, with no factor A.
    values = torch.stack([op.dense()[-3:, -3:] for op in found])
    error = values.std(dim=0) / math.sqrt(runs)
    assert bool(((values.mean(dim=0) - exact).abs() < 4.5 * error).all())
    corrected = torch.tensor(
        [ekfac(landscape, kind="monte-carlo", generator=source, separate_bias=True).trace() for _ in range(runs)]
    )
    full = float(positions_trace(Mixing(), landscape))
    assert abs(float(corrected.mean()) - full) < 4 * float(corrected.std()) / math.sqrt(runs)


def test_a_seed_is_a_matrix():
    landscape = tw.Landscape(mlp(), CROSS, ragged(CROSS, 4))
    first, again = (kfac(landscape, kind="monte-carlo", generator=generator(7)).dense() for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, kfac(landscape, kind="monte-carlo", generator=generator(8)).dense())
    assert not torch.equal(first, kfac(landscape, kind="monte-carlo", generator=generator(7), draws=2).dense())
    default = kfac(landscape, kind="monte-carlo")
    assert torch.equal(default.dense(), kfac(landscape, kind="monte-carlo", generator=generator(0)).dense())
    assert torch.equal(default.dense(), default.dense()), "drawn once"
    source = generator(7)
    one, two = (kfac(landscape, kind="monte-carlo", generator=source).dense() for _ in range(2))
    assert torch.equal(one, first)
    assert not torch.equal(one, two), "the generator moves on"


def jacobian_at_layer(model, x):
    return torch.autograd.functional.jacobian(lambda s: torch.tanh(s).cumsum(dim=1).mT, model.first(x).detach())


def softmax_hessian(logits):
    p = logits.softmax(dim=0)
    return torch.diag(p) - torch.outer(p, p)


def positions_factor(model, landscape):
    """B of the layer, Σ over items, positions of the layer and positions of the targets."""
    (inputs, _), total = landscape.data[0], 0.0
    for x in inputs[:, None]:
        J = jacobian_at_layer(model, x)[0, :, :, 0]  # class, target's position, layer's position, unit
        outputs = model(x)[0].detach()
        for t in range(3):
            H = softmax_hessian(outputs[:, t])
            total = total + sum(J[:, t, s].mT @ H @ J[:, t, s] for s in range(3))
    return total / 12


def positions_trace(model, landscape):
    """The trace of the GGN."""
    (inputs, _), total = landscape.data[0], 0.0
    for x in inputs[:, None]:
        J = jacobian_at_layer(model, x)[0, :, :, 0]
        outputs = model(x)[0].detach()
        augmented = torch.cat([x[0], torch.ones(3, 1).double()], dim=1)
        for t in range(3):
            per_weight = torch.einsum("csi,sj->cij", J[:, t], augmented).flatten(start_dim=1)
            total = total + (per_weight.mT @ softmax_hessian(outputs[:, t]) @ per_weight).trace()
    return total / 12
