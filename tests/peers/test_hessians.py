"""Hessian products against those of other libraries, and what they get wrong that could go wrong here."""

import itertools
import math
import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional

import thalweg as tw
from tests.landscape.models import Residual, classes, cnn, generator, mlp, randn, scrambled, tied, tokens
from tests.landscape.snapshot import unchanged

N = 256
CROSS = tw.objectives.cross_entropy()


def cut(tensors, *sizes: int):
    return list(zip(*(tensor.split(list(sizes)) for tensor in tensors), strict=True))


def dataset(*shape: int, seed: int = 0):
    return randn(N, *shape, seed=seed), classes(N, seed=seed + 100)


def random_network(seed: int) -> nn.Module:
    """Some widths, a depth and an activation."""
    source = generator(seed)
    widths = [4, *torch.randint(2, 7, (1 + seed % 3,), generator=source).tolist(), 3]
    activation = [nn.Tanh, nn.ReLU, nn.GELU, nn.Softplus][seed % 4]
    layers = [part for a, b in itertools.pairwise(widths) for part in (nn.Linear(a, b), activation())]
    return scrambled(nn.Sequential(*layers[:-1]).double(), seed=seed, scale=0.7)


MODELS = {f"random network {seed}": (lambda seed=seed: random_network(seed), (4,)) for seed in range(6)} | {
    "convolutions": (cnn, (1, 6, 6)),
    "residual": (lambda: scrambled(Residual().double()), (4,)),
}


def curvlinops_hessian(model, batches, **options):
    curvlinops = pytest.importorskip("curvlinops")
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return curvlinops.HessianLinearOperator(model, nn.CrossEntropyLoss(), parameters, batches, **options)


def eigenthings_hessian(model, batches, **options):
    peer = pytest.importorskip("hessian_eigenthings")
    return peer.HessianOperator(model, batches, peer.supervised_loss(nn.CrossEntropyLoss()), **options)


def agree(found, expected, rtol: float = 1e-10) -> None:
    torch.testing.assert_close(found, expected, rtol=rtol, atol=rtol * float(expected.abs().max()))


# curvlinops differentiates by torch.func, which is wrong through layer norm (torch 2.13, see tests/operators/twin.py).
@pytest.mark.parametrize("name", [name for name in MODELS if name != "residual"])
@pytest.mark.parametrize("sizes", [(N,), (250, 6)], ids=["one batch", "ragged"])
def test_curvlinops(name, sizes):
    make, shape = MODELS[name]
    model = make().eval()
    batches = cut(dataset(*shape), *sizes)
    op = tw.hessian(tw.Landscape(model, CROSS, batches))
    block = op.space.randn(generator(1), 3)
    agree(op @ block, curvlinops_hessian(model, batches) @ block.contiguous())


@pytest.mark.parametrize("name", MODELS)
def test_hessian_eigenthings(name):
    make, shape = MODELS[name]
    model = make().eval()
    batches = cut(dataset(*shape), N)
    op = tw.hessian(tw.Landscape(model, CROSS, batches))
    v = op.space.randn(generator(1))
    agree(op @ v, eigenthings_hessian(model, batches).matvec(v).detach())


def test_curvlinops_on_regression():
    curvlinops = pytest.importorskip("curvlinops")
    model = mlp()
    inputs, targets = randn(N, 4), randn(N, 3, seed=1)
    batches = cut((inputs, targets), 250, 6)
    op = tw.hessian(tw.Landscape(model, tw.objectives.mse(), batches))
    peer = curvlinops.HessianLinearOperator(model, nn.MSELoss(), list(model.parameters()), batches)
    v = op.space.randn(generator(1))
    agree(op @ v, peer @ v)


# ------------------------------------------------- defects of peers that could happen here


def test_ragged_batches_are_weighted_by_their_size():
    """hessian-eigenthings takes the plain mean over batches: 250 + 6 samples differ from 256 by 310 %."""
    model, tensors = mlp(), dataset(4)
    v = randn(43, seed=9)
    whole = eigenthings_hessian(model, cut(tensors, N)).matvec(v).detach()
    for sizes in ((250, 6), (6, 250), (100, 1, 155)):
        agree(tw.hessian(tw.Landscape(model, CROSS, cut(tensors, *sizes))) @ v, whole)


def test_tokens_and_not_batches_are_averaged():
    """A loss a batch that is a mean over tokens, averaged over batches of unequal numbers of tokens, is biased."""
    curvlinops = pytest.importorskip("curvlinops")
    model, sequences = tied(), tokens(6, 8)
    mask = torch.arange(8) < torch.tensor([8, 2, 5, 8, 3, 4])[:, None]
    labels = sequences.masked_fill(~mask, -100)
    objective = tw.objectives.cross_entropy()
    split = cut((sequences, labels), 2, 4)

    class Flat(nn.Module):
        """Logits (N, V, T), as torch's cross-entropy takes them."""

        def __init__(self) -> None:
            super().__init__()
            self.body = model

        def forward(self, x):
            return self.body(x).mT

    flat = Flat()
    v = randn(27, seed=2)
    found = tw.hessian(tw.Landscape(flat, objective, split)) @ v
    parameters = list(flat.parameters())
    whole = curvlinops.HessianLinearOperator(flat, nn.CrossEntropyLoss(), parameters, [(sequences, labels)])
    agree(found, whole @ v)
    # The other way is another number, so that the agreement above says something.
    means = [curvlinops.HessianLinearOperator(flat, nn.CrossEntropyLoss(), parameters, [part]) @ v for part in split]
    assert float((sum(means) / 2 - found).norm() / found.norm()) > 0.01


def test_two_objects_on_one_model_do_not_add_up():
    """PyHessian writes .grad with a graph, sets eval mode for good, and a second object sums both gradients."""
    model, batches = mlp().train(), cut(dataset(4), N)
    with unchanged(model):
        first = tw.hessian(tw.Landscape(model, CROSS, batches))
        v = first.space.randn()
        one = first @ v
        second = tw.hessian(tw.Landscape(model, CROSS, batches)) @ v
    assert torch.equal(one, second)
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_top_eigenvalue_of_pyhessian():
    peer = pytest.importorskip("pyhessian")
    model, (inputs, targets) = mlp().eval(), dataset(4)
    matrix = tw.hessian(tw.Landscape(model, CROSS, [(inputs, targets)])).dense()
    largest = torch.linalg.eigvalsh(matrix)
    strongest = float(largest[largest.abs().argmax()])
    with warnings.catch_warnings():
        # PyTorch says this once in a process.
        warnings.filterwarnings("ignore", message=".*create_graph=True", category=UserWarning)
        measured = peer.hessian(model, nn.CrossEntropyLoss(), data=(inputs, targets), cuda=False)
    values, _ = measured.eigenvalues(maxIter=2000, tol=1e-10)
    assert values[0] == pytest.approx(strongest, rel=1e-4)
    for parameter in model.parameters():
        parameter.grad = None


def test_a_part_of_the_parameters():
    """The block of the whole matrix, in the model's order, as curvlinops gives it for a list of parameters."""
    curvlinops = pytest.importorskip("curvlinops")
    model, batches = mlp(), cut(dataset(4), 250, 6)
    op = tw.hessian(tw.Landscape(model, CROSS, batches, params="2.*"))
    peer = curvlinops.HessianLinearOperator(model, nn.CrossEntropyLoss(), list(model[2].parameters()), batches)
    v = op.space.randn()
    agree(op @ v, peer @ v)


def test_real_numbers_stay_real():
    """PyHessian's density returns complex weights; nothing here leaves the vectors' own type."""
    landscape = tw.Landscape(mlp(), CROSS, cut(dataset(4), N))
    for value in (landscape.gradient(), tw.hessian(landscape) @ landscape.theta, tw.hessian(landscape).dense()):
        assert value.dtype == torch.float64
    assert isinstance(landscape.loss(), float)


def test_a_mean_of_the_batch_losses_is_what_they_say():
    """The loss itself, term by term."""
    model, (inputs, targets) = mlp(), dataset(4)
    expected = math.fsum(functional.cross_entropy(model(inputs).detach(), targets, reduction="none").tolist()) / N
    assert tw.Landscape(model, CROSS, cut((inputs, targets), 250, 6)).loss() == pytest.approx(expected, rel=1e-13)
