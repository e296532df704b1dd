"""The model is bitwise the same after every public call, also when the call raises half-way."""

import functools
import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, TensorDataset

import thalweg as tw
from tests.landscape.models import (
    Attention,
    Counting,
    MultiHead,
    Recurrent,
    classes,
    cnn,
    mlp,
    randn,
    scrambled,
    tied,
    tokens,
)
from tests.landscape.snapshot import unchanged

CROSS = tw.objectives.cross_entropy()


def data(n: int = 8, batch: int = 3, shape: tuple[int, ...] = (4,)) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return list(zip(randn(n, *shape).split(batch), classes(n).split(batch), strict=True))


def image_data():
    return data(shape=(1, 6, 6))


def disturbed(model: nn.Module, *, grads: bool = True) -> nn.Module:
    """Gradients set on some parameters, train and eval flags mixed, one parameter frozen, hooks on both."""
    parameters = list(model.parameters())
    if grads:
        parameters[0].grad = torch.ones_like(parameters[0])
    parameters[-1].requires_grad_(False)
    for place, module in enumerate(model.modules()):
        module.training = place % 2 == 0
    model.register_forward_hook(lambda module, args, out: None)
    parameters[0].register_hook(lambda gradient: gradient)
    return model


def every_call(landscape: tw.Landscape):
    """Every public call of a landscape and of the operators on it."""
    theta = landscape.theta
    yield "loss", landscape.loss
    yield "loss elsewhere", functools.partial(landscape.loss, theta + 0.1)
    yield "gradient", landscape.gradient
    yield "gradient elsewhere", functools.partial(landscape.gradient, theta - 0.1)
    yield "loss_and_gradient", landscape.loss_and_gradient
    yield "evaluate", landscape.evaluate
    yield "at", lambda: landscape.at(2 * theta).gradient()
    yield "at, other buffers", lambda: landscape.at(theta, buffers=landscape.buffers).loss()
    yield "split", lambda: landscape.split(theta)
    yield "repr", lambda: repr(landscape)
    yield "describe", lambda: (landscape.theta, landscape.buffers, landscape.layout, landscape.provenance())
    op = tw.hessian(landscape, engine="double-backward")
    vectors = landscape.space.randn(count=2)
    yield "product", lambda: op @ vectors[:, 0]
    yield "block", lambda: op @ vectors
    yield "rebuilt graphs", lambda: tw.hessian(landscape, engine="double-backward", keep=False) @ vectors
    yield "engines on trial", lambda: tw.hessian(landscape) @ vectors
    yield "ggn", lambda: tw.ggn(landscape) @ vectors
    yield "residual", lambda: tw.residual(landscape) @ vectors[:, 0]
    yield "exact fisher", lambda: tw.fisher(landscape) @ vectors[:, 0]
    yield "drawn fisher", lambda: tw.fisher(landscape, "monte-carlo", draws=2) @ vectors[:, 0]
    yield "empirical fisher", lambda: tw.fisher(landscape, "empirical") @ vectors[:, 0]
    yield "gradient covariance", lambda: tw.gradient_covariance(landscape) @ vectors
    yield "gradient gram", lambda: tw.gradient_gram(landscape)
    yield "verify", lambda: tw.verify(op)
    yield "dense", op.dense


class Rebellious(nn.Module):
    """train() that keeps its batch norm in eval mode and freezes a parameter, as detection backbones do."""

    def __init__(self) -> None:
        super().__init__()
        self.body = cnn()

    def train(self, mode: bool = True):
        super().train(mode)
        self.body[1].eval()
        self.body[0].weight.requires_grad_(not mode)
        return self

    def forward(self, x):
        return self.body(x)


CASES = {
    "mlp": (mlp, data, "eval"),
    "mlp in train mode": (mlp, data, "train"),
    "batch norm": (cnn, image_data, "eval"),
    "batch norm in train mode": (cnn, image_data, "train"),
    "its own train()": (Rebellious, image_data, "eval"),
    "its own train(), train mode": (Rebellious, image_data, "train"),
    "dropout": (lambda: nn.Sequential(nn.Dropout(0.5), mlp()), data, "eval"),
    "attention": (lambda: scrambled(Attention().double()), lambda: data(4, 3, (5, 4)), "eval"),
    "multi-head attention": (lambda: scrambled(MultiHead().double()), lambda: data(4, 3, (5, 4)), "eval"),
    "lstm": (lambda: scrambled(Recurrent().double()), lambda: data(4, 3, (5, 4)), "eval"),
}


# Some of the calls make matrices of items, which batch norm in train mode mixes.
WARNED = pytest.mark.filterwarnings("ignore::thalweg.errors.DependentItemsWarning")


@WARNED
@pytest.mark.parametrize("case", CASES)
def test_every_call_leaves_the_model_alone(case):
    make, batches, mode = CASES[case]
    model = disturbed(make())
    with unchanged(model):
        landscape = tw.Landscape(model, CROSS, batches(), mode=mode)
    for _, call in every_call(landscape):
        with unchanged(model):
            call()


def test_tied_weights_stay_tied():
    model = tied()
    with unchanged(model):
        landscape = tw.Landscape(model, tw.objectives.causal_lm(), [tokens()])
        for _, call in every_call(landscape):
            call()
    assert model.head.weight is model.embed.weight
    assert landscape.size == sum(p.numel() for p in model.parameters()) == 5 * 3 + 3 * 3 + 3


@WARNED
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("mode", ["eval", "train"])
def test_also_when_the_model_raises_half_way(error, mode):
    counting = Counting(cnn(), error=error)
    model = disturbed(counting)
    landscape = tw.Landscape(model, CROSS, image_data(), mode=mode)
    for name, call in every_call(landscape):
        counting.seen[0], counting.fail_at = 0, 2
        with unchanged(model):
            if name in ("split", "repr", "describe"):
                call()
            elif name in ("block", "dense"):
                # The graphs are kept by now: no forward pass is left that could fail.
                call()
                assert counting.seen[0] == 0
            else:
                with pytest.raises(error, match="the model stops here"):
                    call()
        # And it works again afterwards, kept graphs included.
        counting.fail_at = None
        call()
    counting.seen[0], counting.fail_at = 0, 2
    with unchanged(model), pytest.raises(error):
        tw.Landscape(model, CROSS, image_data(), mode=mode)


class Broken:
    """Data that fail at the third batch read."""

    def __init__(self, error: type[BaseException]) -> None:
        self.error = error
        self.armed = False

    def __iter__(self):
        for place, batch in enumerate(data()):
            if self.armed and place == 2:
                np.random.random()  # noqa: NPY002 - the data may use global random states
                torch.rand(1)
                random.random()
                raise self.error("the data stop here")
            yield batch


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_also_when_the_data_raise_half_way(error):
    model, broken = disturbed(mlp()), Broken(error)
    landscape = tw.Landscape(model, CROSS, broken)
    op = tw.hessian(landscape)
    broken.armed = True
    for call in (landscape.loss, landscape.gradient, landscape.evaluate, lambda: op @ landscape.theta):
        with unchanged(model), pytest.raises(error, match="the data stop here"):
            call()
    with unchanged(model), pytest.raises(error):
        tw.Landscape(model, CROSS, broken)
    broken.armed = False
    assert bool((op @ landscape.theta).isfinite().all())


def test_a_loader_leaves_the_global_random_state_alone():
    """Asking a DataLoader for an iterator draws a seed from it."""
    model = mlp()
    loader = DataLoader(TensorDataset(randn(8, 4), classes(8)), batch_size=3)
    with unchanged(model):
        landscape = tw.Landscape(model, CROSS, loader)
        landscape.loss()
        tw.hessian(landscape, engine="double-backward", keep=False) @ landscape.theta


class Noisy(Dataset):
    """Reads the global random states, to no effect."""

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index):
        torch.rand(3)
        np.random.random(2)  # noqa: NPY002
        random.random()
        if index >= 6:
            raise IndexError
        return randn(4, seed=index), classes(1, seed=index)[0]


def test_data_may_draw_random_numbers():
    model = mlp()
    with unchanged(model):
        landscape = tw.Landscape(model, CROSS, DataLoader(Noisy(), batch_size=4))
        landscape.gradient()


def test_a_model_may_draw_random_numbers_that_do_not_matter():
    class Drawing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = mlp()

        def forward(self, x):
            return self.body(x + 0 * torch.rand_like(x))

    model = Drawing()
    with unchanged(model):
        landscape = tw.Landscape(model, CROSS, data())
        for _, call in every_call(landscape):
            call()


def test_a_second_landscape_changes_nothing():
    """Two landscapes on one model used in turn give the bits that each gives alone."""
    model = cnn()
    alone = {mode: measure(tw.Landscape(cnn(), CROSS, image_data(), mode=mode)) for mode in ("eval", "train")}
    first = tw.Landscape(model, CROSS, image_data(), mode="eval")
    first_op = tw.hessian(first)
    v = first.space.randn()
    early = first_op @ v
    second = tw.Landscape(model, CROSS, image_data(), mode="train")
    second_op = tw.hessian(second)
    for _ in range(2):
        assert torch.equal(first_op @ v, early)
        second_op @ v
        for landscape in (second, first):
            loss, gradient, product = measure(landscape)
            assert loss == alone[landscape.mode][0]
            assert torch.equal(gradient, alone[landscape.mode][1])
            assert torch.equal(product, alone[landscape.mode][2])


def measure(landscape: tw.Landscape):
    loss, gradient = landscape.loss_and_gradient()
    return loss, gradient, tw.hessian(landscape) @ landscape.space.randn()


def test_training_the_model_afterwards_does_not_move_a_landscape():
    model = cnn()
    landscape = tw.Landscape(model, CROSS, image_data(), params="5.*")
    op = tw.hessian(landscape, engine="double-backward", keep=False)
    v = landscape.space.randn()
    before = (landscape.theta, *landscape.loss_and_gradient(), op @ v)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    model.train()
    for inputs, targets in image_data():
        optimizer.zero_grad()
        functional.cross_entropy(model(inputs), targets).backward()
        optimizer.step()
    for parameter in model.parameters():
        parameter.data = 3 * parameter.data
    after = (landscape.theta, *landscape.loss_and_gradient(), op @ v)
    assert after[1] == before[1]
    for place in (0, 2, 3):
        assert torch.equal(after[place], before[place])
    # The model's own gradients are those of training, not of the landscape.
    assert model[0].weight.grad is not None
    moved = tw.Landscape(model, CROSS, image_data(), params="5.*")
    assert abs(moved.loss() - landscape.loss()) > 1e-3


def test_what_is_handed_out_is_a_copy():
    landscape = tw.Landscape(cnn(), CROSS, image_data())
    loss = landscape.loss()
    landscape.theta.zero_()
    for buffer in landscape.buffers.values():
        buffer.zero_()
    theta = landscape.theta
    there = landscape.at(theta)
    theta.zero_()
    assert there.loss() == loss
    assert landscape.loss() == loss


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_callers_may_have_turned_gradients_off(context):
    model, batches = disturbed(cnn()), image_data()
    free = tw.Landscape(model, CROSS, batches)
    loss, gradient, product = measure(free)
    with context():
        inside = tw.Landscape(model, CROSS, [(x.clone(), y.clone()) for x, y in batches])
        v = inside.space.randn()
        for landscape in (free, inside, free.at(free.theta)):
            assert landscape.loss() == loss
            assert torch.equal(landscape.gradient(), gradient)
            assert torch.equal(tw.hessian(landscape) @ v, product)
            assert torch.equal(tw.hessian(landscape, engine="double-backward", keep=False) @ v, product)
            assert landscape.evaluate().loss.value == pytest.approx(loss, rel=1e-15)
            assert tw.verify(tw.hessian(landscape)).passed
        elsewhere = inside.theta * 2
        there = inside.at(elsewhere)
        gradient_there = inside.gradient(elsewhere)
    # What was made in there works outside too.
    assert torch.equal(tw.hessian(inside) @ free.space.randn(), product)
    assert torch.equal(there.gradient(), gradient_there)
    assert torch.equal(free.gradient(elsewhere), gradient_there)


def test_a_model_made_in_inference_mode_can_be_measured():
    with torch.inference_mode():
        model = mlp()
    reference = measure(tw.Landscape(mlp(), CROSS, data()))
    found = measure(tw.Landscape(model, CROSS, data(), params="*"))
    assert torch.equal(found[2], reference[2])


def test_a_model_that_writes_into_its_parameters_is_refused():
    """An embedding with max_norm renormalises its rows in place at every forward pass."""
    model = nn.Sequential(nn.Embedding(5, 3, max_norm=0.1), nn.Flatten(), nn.Linear(18, 3)).double()
    batches = [(tokens(), classes(4))]
    with unchanged(model), pytest.raises(tw.errors.DeterminismError, match=r"the forward pass writes into 0\.weight"):
        tw.Landscape(model, CROSS, batches, params="0.weight")
    with unchanged(model), pytest.raises(tw.errors.DeterminismError, match=r"the forward pass writes into 0\.weight"):
        tw.Landscape(model, CROSS, batches, params="2.*", mode="train")


def test_the_caller_s_vectors_are_not_written_into():
    landscape = tw.Landscape(mlp(), CROSS, data())
    theta, block = landscape.theta, landscape.space.randn(count=3)
    copies = theta.clone(), block.clone()
    landscape.gradient(theta)
    landscape.at(theta).evaluate()
    tw.hessian(landscape) @ block
    assert torch.equal(theta, copies[0])
    assert torch.equal(block, copies[1])
    assert not theta.requires_grad
    assert not landscape.gradient().requires_grad
    assert not (tw.hessian(landscape) @ block.requires_grad_()).requires_grad


def test_batches_are_not_written_into():
    batches = data()
    copies = [(x.clone(), y.clone()) for x, y in batches]
    measure(tw.Landscape(mlp(), CROSS, batches))
    for (x, y), (u, v) in zip(batches, copies, strict=True):
        assert torch.equal(x, u)
        assert torch.equal(y, v)
        assert not x.requires_grad
