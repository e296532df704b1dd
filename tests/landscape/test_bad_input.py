"""Every bad input ends in an error of the tree, and the message says what to do."""

import re
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, TensorDataset

import thalweg as tw
from tests.landscape.models import Recurrent, classes, mlp, randn, scrambled
from tests.landscape.snapshot import unchanged
from tests.unchecked import unchecked
from thalweg.errors import (
    ArgumentError,
    DataError,
    DeterminismError,
    NonFiniteError,
    ObjectiveError,
    ThalwegError,
    UnreachedParameterWarning,
)

CROSS = tw.objectives.cross_entropy()


def data(n: int = 8, batch: int = 4):
    return list(zip(randn(n, 4).split(batch), classes(n).split(batch), strict=True))


class Once:
    """Iterable, but empty from the second pass on."""

    def __init__(self, passes: int = 1) -> None:
        self.left = passes

    def __iter__(self):
        self.left -= 1
        return iter(data() if self.left >= 0 else [])


class Shrinking(Once):
    """One batch fewer in the second pass."""

    def __iter__(self):
        self.left -= 1
        return iter(data(8, 4) if self.left >= 0 else data(8, 4)[:1])


class Single(Dataset):
    def __len__(self) -> int:
        return 8

    def __getitem__(self, index):
        return randn(4, seed=index), 1


class Augmented(Single):
    """Flips an item at random, as image augmentation does: its values stay, in another order."""

    def __len__(self) -> int:
        return 80  # too many for two passes to agree by chance

    def __getitem__(self, index):
        item, target = randn(4, seed=index), torch.tensor(index % 3)
        return (item.flip(0) if torch.rand(()) < 0.5 else item), target


SHARED = TensorDataset(randn(40, 4), classes(40))
LOADER = {"batch_size": 4}

BAD_DATA = {
    "empty list": (list, DataError, r"data: expected at least one batch, got none\."),
    "empty loader": (
        lambda: DataLoader(TensorDataset(randn(0, 4), classes(0)), batch_size=2),
        DataError,
        "at least one batch",
    ),
    "generator": (
        lambda: (batch for batch in data()),
        DataError,
        r"expected batches that can be read many times, got generator, which can be read only once\. Pass list\(data\)",
    ),
    "zip": (lambda: zip(*data(), strict=True), DataError, r"got zip, which can be read only once"),
    "iterator": (lambda: iter(data()), DataError, r"got list_iterator, which can be read only once"),
    "empty second pass": (
        Once,
        DataError,
        (
            r"expected the same batches in every pass, got 2 in the first and 0 in the second\. Data that can be read "
            r"only once must be kept: pass list\(data\)"
        ),
    ),
    "shorter second pass": (Shrinking, DataError, r"got 2 in the first and 1 in the second"),
    "tensor": (
        lambda: randn(8, 4),
        DataError,
        r"got a tensor of shape \(8, 4\)\. Pass \[\(inputs, targets\)\] for a single batch\.",
    ),
    "a number": (lambda: 3, DataError, r"data: expected batches that can be iterated over, got int\."),
    "none": (lambda: None, DataError, r"data: expected batches that can be iterated over, got NoneType\."),
    "tensor dataset": (
        lambda: SHARED,
        DataError,
        r"got TensorDataset, a dataset of single items\. Wrap it in a DataLoader",
    ),
    "dataset": (Single, DataError, r"got Single, a dataset of single items\. Wrap it in a DataLoader"),
    "unbatched items": (
        lambda: [SHARED[0], SHARED[1]],
        ObjectiveError,
        r"got logits \(3,\) .*A dataset must be batched",
    ),
    "one batch, not in a list": (
        lambda: data()[0],
        ObjectiveError,
        r"expected each batch to be a pair \(inputs, targets\), got a tensor of shape \(4, 4\)\.",
    ),
    "three parts": (
        lambda: [(*batch, None) for batch in data()],
        ObjectiveError,
        r"got a tuple of 3: \['Tensor', 'Tensor', 'NoneType'\]\. For other batches use an objective of your own",
    ),
    "a dictionary": (lambda: [{"x": 1, "y": 2}], ObjectiveError, r"got a dict with keys \['x', 'y'\]"),
    "targets no tensor": (lambda: [(randn(2, 4), [0, 1])], ObjectiveError, r"got a tuple of 2: \['Tensor', 'list'\]"),
    "shuffled": (
        lambda: DataLoader(SHARED, shuffle=True, **LOADER),
        DeterminismError,
        (
            r"expected the same batches in every pass, but in batch 0 the same items came in another order\. "
            r"Build the loader with shuffle=False"
        ),
    ),
    "shuffled by its own generator": (
        lambda: DataLoader(SHARED, shuffle=True, generator=torch.Generator().manual_seed(1), **LOADER),
        DeterminismError,
        "the same items came in another order",
    ),
    "augmented": (
        lambda: DataLoader(Augmented(), batch_size=80),
        DeterminismError,
        r"in batch 0 the items themselves changed\. Turn random augmentation off",
    ),
    "all masked": (
        lambda: [(randn(2, 4), torch.tensor([-100, -100]))],
        DataError,
        r"data: expected terms of positive total weight, got 0: there are none, or all are masked\.",
    ),
    "loss not finite": (
        lambda: [*data(), (torch.full((2, 4), torch.inf, dtype=torch.float64), classes(2)), *data()],
        NonFiniteError,
        r"loss: expected a finite number, got nan in batch 2 \(counted from 0\)\.",
    ),
    "integer one-hot targets": (
        lambda: [(randn(2, 4), torch.tensor([[1, 0, 0], [0, 1, 0]]))],
        ObjectiveError,
        r"got logits \(2, 3\) and targets \(2, 3\) of torch\.int64",
    ),
    "float targets": (
        lambda: [(randn(2, 4), randn(2))],
        ObjectiveError,
        r"expected class indices of torch\.int64, got torch\.float64",
    ),
}


@pytest.mark.parametrize("case", BAD_DATA)
def test_bad_data(case):
    make, error, message = BAD_DATA[case]
    model = mlp()
    with unchanged(model), pytest.raises(error, match=message) as raised:
        tw.Landscape(model, CROSS, make())
    assert isinstance(raised.value, ThalwegError)


def test_data_that_end_are_noticed_without_the_check_too():
    """Without it only one pass is made at construction; a later pass over nothing would have loss 0."""
    landscape = tw.Landscape(mlp(), CROSS, Once(), check=False)
    message = r"data: expected 2 batches, as when the landscape was built, got 0\. .* pass list\(data\)"
    op = tw.hessian(landscape)
    for call in (landscape.loss, landscape.gradient, landscape.evaluate, lambda: op @ landscape.theta):
        with pytest.raises(DataError, match=message):
            call()


def test_data_that_grow_are_noticed():
    batches = data()
    landscape = tw.Landscape(mlp(), CROSS, batches)
    batches.append(batches[0])
    with pytest.raises(DataError, match=r"expected 2 batches, as when the landscape was built, got 3"):
        landscape.loss()


def test_a_shuffling_loader_whose_loss_is_the_same_is_found():
    """The whole pass has one loss and one gradient in any order, to rounding: batches have to be compared."""
    model = mlp()
    loader = DataLoader(SHARED, shuffle=True, generator=torch.Generator().manual_seed(1), batch_size=4)
    sums = [
        sum(float(functional.cross_entropy(model(x), y, reduction="sum").detach()) for x, y in loader) for _ in "ab"
    ]
    assert sums[0] == pytest.approx(sums[1], rel=1e-12)
    with pytest.raises(DeterminismError, match="shuffle=False"):
        tw.Landscape(model, CROSS, loader)
    assert tw.Landscape(model, CROSS, loader, check=False).loss() == pytest.approx(sums[0] / 40, rel=1e-12)


# ---------------------------------------------------------------------- models that do not repeat


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5)), r"1 \(Dropout, p=0\.5\)"),
        (lambda: nn.Sequential(nn.Dropout(1e-9), nn.Linear(4, 3)), r"0 \(Dropout, p=1e-09\)"),
        (
            lambda: nn.Sequential(nn.Linear(4, 3), nn.Sequential(nn.AlphaDropout(0.25))),
            r"1\.0 \(AlphaDropout, p=0\.25\)",
        ),
    ],
)
def test_active_dropout_is_named(make, named):
    model = make().double()
    message = rf"model: .*dropout is active in {named}\. Set its p to 0, or measure with mode='eval'\."
    with unchanged(model), pytest.raises(DeterminismError, match=message):
        tw.Landscape(model, CROSS, data(), mode="train")
    # In eval mode, and where nothing is dropped, there is nothing to say.
    tw.Landscape(model, CROSS, data())
    for module in model.modules():
        if hasattr(module, "p"):
            module.p = 0.0
    tw.Landscape(model, CROSS, data(), mode="train")


def test_dropout_inside_recurrent_and_attention_layers_is_named():
    model = Recurrent()
    model.cell = nn.LSTM(4, 3, num_layers=2, dropout=0.25, batch_first=True)
    batches = [(randn(3, 5, 4), classes(3))]
    with pytest.raises(DeterminismError, match=r"dropout is active in cell \(LSTM, p=0\.25\)\."):
        tw.Landscape(model.double(), CROSS, batches, mode="train")
    layer = nn.MultiheadAttention(4, 2, dropout=0.1)
    with pytest.raises(DeterminismError, match=r"dropout is active in model \(MultiheadAttention, p=0\.1\)\."):
        tw.Landscape(layer, CROSS, batches, mode="train")


def test_batch_norm_without_running_statistics_has_no_eval_mode():
    """It would normalise by the batch all the same, so that every result depended on how the data are cut."""
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3, track_running_stats=False)).double()
    message = r"mode: expected 'train', got 'eval': 1 has no running statistics and normalises by the batch"
    with unchanged(model), pytest.raises(ArgumentError, match=message):
        tw.Landscape(model, CROSS, data())
    assert tw.Landscape(model, CROSS, data(), mode="train").count == 8
    by_sample = [nn.Linear(4, 6), nn.Unflatten(1, (3, 2)), nn.InstanceNorm1d(3), nn.Flatten(), nn.Linear(6, 3)]
    assert tw.Landscape(nn.Sequential(*by_sample).double(), CROSS, data()).count == 8


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("abacus", r"device: expected one that torch can use here, got 'abacus' \("),
        ("meta", r"device: expected one that holds values, got 'meta'\."),
        (3.5, r"device: expected one that torch can use here, got 3\.5 \("),
    ],
)
def test_devices_that_cannot_compute_are_named(device, message):
    with unchecked(), pytest.raises(ArgumentError, match=message):
        tw.Landscape(mlp(), CROSS, data(), device=device)


@pytest.mark.parametrize("size", [1, 7])
def test_targets_cut_from_a_table_are_read_whatever_their_stride(size):
    inputs, table = randn(8, 4), torch.stack([classes(8), classes(8)], dim=1)
    whole = tw.Landscape(mlp(), CROSS, [(inputs, table[:, 0])])
    parts = [(inputs[i : i + size], table[i : i + size, 0]) for i in range(0, 8, size)]
    torch.testing.assert_close(tw.Landscape(mlp(), CROSS, parts).gradient(), whole.gradient())


class Functional(nn.Module):
    """Dropout that ignores eval mode."""

    def __init__(self) -> None:
        super().__init__()
        self.body = mlp()

    def forward(self, x):
        return self.body(functional.dropout(x, 0.5))


def test_functional_dropout_that_ignores_eval_mode():
    model = Functional()
    message = r"model: expected the same loss for the same data, but in batch 0 .* dropout that ignores model\.eval\(\)"
    with unchanged(model), pytest.raises(DeterminismError, match=message):
        tw.Landscape(model, CROSS, data())
    assert tw.Landscape(model, CROSS, data(), check=False).count == 8


def test_a_gradient_that_does_not_repeat():
    """Noise whose value is zero and whose derivative is not: only the gradient shows it."""

    class Hidden(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(3, dtype=torch.float64))

        def forward(self, x):
            noise = torch.rand(3, dtype=torch.float64)
            return x[:, :3] * self.weight + noise * (self.weight - self.weight.detach())

    with pytest.raises(
        DeterminismError, match=r"expected the same gradient for the same data, but two passes differ by"
    ):
        tw.Landscape(Hidden(), CROSS, data())


def test_buffers_that_change_in_eval_mode():
    class Stateful(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = mlp()
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, x):
            self.calls += 1
            return self.body(x)

    model = Stateful()
    message = (
        r"expected parameters and buffers that stay the same in eval mode, but the forward pass writes into calls\."
    )
    with unchanged(model), pytest.raises(DeterminismError, match=message):
        tw.Landscape(model, CROSS, data())
    # In train mode that is what batch norm does, to copies.
    with unchanged(model):
        tw.Landscape(model, CROSS, data(), mode="train")


# ---------------------------------------------------------------------- parameters, gradients, vectors


class Unreached(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = mlp()
        self.spare = nn.Linear(2, 1).double()

    def forward(self, x):
        return self.body(x)


def test_parameters_that_the_loss_does_not_reach_are_named():
    model = Unreached()
    message = r"The loss does not depend on spare\.weight, spare\.bias: directions of zero curvature"
    with unchanged(model), pytest.warns(UnreachedParameterWarning, match=message):
        landscape = tw.Landscape(model, CROSS, data())
    matrix = tw.hessian(landscape).dense()
    assert not matrix[-3:].any()
    assert not matrix[:, -3:].any()
    assert not landscape.gradient()[-3:].any()
    assert torch.equal(matrix[:-3, :-3], tw.hessian(tw.Landscape(model, CROSS, data(), params="body.*")).dense())
    # Without the check nothing is differentiated, so nothing can be said.
    tw.Landscape(model, CROSS, data(), check=False)


def test_many_unreached_parameters_are_counted():
    model = Unreached()
    model.spare = nn.Sequential(*(nn.Linear(1, 1) for _ in range(6)))
    with pytest.warns(UnreachedParameterWarning, match=r"spare\.0\.weight, .*spare\.3\.bias and 4 more:"):
        tw.Landscape(model.double(), CROSS, data())


def test_a_gradient_that_is_not_finite():
    """√ at 0 has value 0 and an infinite slope."""

    class Root(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(3, dtype=torch.float64))

        def forward(self, x):
            return x[:, :3] + self.weight.abs().sqrt()

    landscape = tw.Landscape(Root(), CROSS, data())
    with pytest.raises(NonFiniteError, match=r"gradient: expected finite entries, got a non-finite one in weight\."):
        landscape.gradient()
    with pytest.raises(NonFiniteError, match=r"product: expected finite entries, got a non-finite one in product 1 "):
        tw.hessian(landscape) @ landscape.space.randn()


BAD_VECTORS = {
    "short": (lambda: torch.zeros(42, dtype=torch.float64), r"theta: expected shape \(43,\), got \(42,\)\."),
    "block": (lambda: torch.zeros(43, 2, dtype=torch.float64), r"theta: expected shape \(43,\), got \(43, 2\)\."),
    "float32": (
        lambda: torch.zeros(43),
        r"theta: expected torch\.float64 on cpu, got torch\.float32 on cpu\. Convert it with \.to\('cpu', torch",
    ),
    "meta": (
        lambda: torch.zeros(43, dtype=torch.float64, device="meta"),
        r"expected torch\.float64 on cpu, got torch\.float64 on meta",
    ),
    "list": (lambda: [0.0] * 43, r"theta: expected a tensor of shape \(43,\), got list\."),
}


@pytest.mark.parametrize("case", BAD_VECTORS)
def test_a_wrong_theta(case):
    make, message = BAD_VECTORS[case]
    model = mlp()
    landscape = tw.Landscape(model, CROSS, data())
    for call in (landscape.loss, landscape.gradient, landscape.loss_and_gradient, landscape.evaluate, landscape.at):
        with unchanged(model), pytest.raises(ArgumentError, match=message):
            call(make())
    with unchecked(), pytest.raises(ArgumentError, match=message.replace("theta", "vector")):
        landscape.split(make())


def test_buffers_of_another_model():
    landscape = tw.Landscape(nn.Sequential(mlp(), nn.BatchNorm1d(3).double()), CROSS, data())
    with pytest.raises(ArgumentError, match=r"buffers: expected exactly \['1\.num_batches_tracked', .*\], got \[\]\."):
        landscape.at(landscape.theta, buffers={})
    wrong = {**landscape.buffers, "1.running_mean": torch.zeros(4)}
    with pytest.raises(ArgumentError, match=r"buffers: expected 1\.running_mean of shape \(3,\), got \(4,\)\."):
        landscape.at(landscape.theta, buffers=wrong)


# ---------------------------------------------------------------------- arguments

BOX = tw.objectives.from_function(lambda model, batch: model(batch[0]).mean(), lambda batch: len(batch[1]))
BAD_ARGUMENTS = {
    "model": ({"model": lambda x: x}, r"model: expected a torch\.nn\.Module, got function\."),
    "objective": (
        {"objective": nn.MSELoss()},
        r"got MSELoss\. Wrap a loss function with thalweg\.objectives\.from_function",
    ),
    "mode": ({"mode": "test"}, r"mode: expected 'eval' or 'train', got 'test'\."),
    "microbatch 0": ({"microbatch": 0}, r"microbatch: expected a whole number of at least 1, got 0\."),
    "microbatch True": ({"microbatch": True}, r"microbatch: expected a whole number of at least 1, got True\."),
    "microbatch 2.5": ({"microbatch": 2.5}, r"microbatch: expected a whole number of at least 1, got 2\.5\."),
    "microbatch in train mode": (
        {"microbatch": 2, "mode": "train"},
        r"expected None with mode='train', where the batch is the unit",
    ),
    "microbatch of a black box": (
        {"microbatch": 2, "objective": BOX},
        r"expected None with .*which sees a batch as a whole",
    ),
    "dtype": ({"dtype": torch.int64}, r"dtype: expected a floating-point type, got torch\.int64\."),
    "dtype in words": ({"dtype": "float64"}, r"dtype: expected a floating-point type, got 'float64'\."),
    "params": (
        {"params": "3.weight"},
        (
            r"expected the name of a parameter or a pattern that matches one, got '3\.weight'\. "
            r"The model has 0\.weight, 0\.bias, 2\.weight, 2\.bias\."
        ),
    ),
    "one of several params": ({"params": ["0.weight", "layer*"]}, r"pattern that matches one, got 'layer\*'\."),
    "no params": ({"params": []}, r"params: expected at least one parameter, got none\. The model has 0\.weight"),
    "a predicate that takes none": (
        {"params": lambda name, p: False},
        r"expected at least one parameter, got none\. The",
    ),
    "nothing requires a gradient": (
        {"model": mlp().requires_grad_(False)},
        r"params: expected at least one parameter, got none that requires a gradient\. The model has",
    ),
    "no parameters at all": ({"model": nn.Tanh()}, r"that requires a gradient\. The model has no parameters\."),
    "complex parameters": (
        {"model": nn.Linear(4, 3, dtype=torch.complex128)},
        r"expected parameters of real numbers, got weight of torch\.complex128",
    ),
}


@pytest.mark.parametrize("case", BAD_ARGUMENTS)
def test_bad_arguments(case):
    changes, message = BAD_ARGUMENTS[case]
    arguments = {"model": mlp(), "objective": CROSS, "data": data(), **changes}
    with unchecked(), pytest.raises(ArgumentError, match=message):
        tw.Landscape(**arguments)


def test_micro_batches_of_a_batch_that_cannot_be_cut():
    def model_of(inputs):
        return [((inputs, torch.tensor(1.0)), classes(4))]

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = mlp()

        def forward(self, x, scale):
            return self.body(x) * scale

    batches = model_of(randn(4, 4))
    assert tw.Landscape(Scaled(), CROSS, batches).count == 4
    message = r"microbatch: expected all tensors of a batch to share their first axis, got lengths \['scalar', 4\]"
    with pytest.raises(DataError, match=message):
        tw.Landscape(Scaled(), CROSS, batches, microbatch=2)


def test_terms_weights_and_metrics_must_fit_together():
    import dataclasses

    wrong = dataclasses.replace(CROSS, weights=lambda batch: torch.ones(3))
    with pytest.raises(
        ObjectiveError, match=r"weights: expected the shape of the terms of cross_entropy, \(4,\), got \(3,\)"
    ):
        tw.Landscape(mlp(), wrong, data())
    for number in (-1.0, float("nan"), float("inf")):
        wrong = dataclasses.replace(CROSS, weights=lambda batch, n=number: torch.tensor([1.0, 1.0, n, 1.0]))
        with pytest.raises((DataError, NonFiniteError), match="in batch 0"):
            tw.Landscape(mlp(), wrong, data())
    scalar = dataclasses.replace(CROSS, terms=lambda outputs, batch: outputs.mean())
    with pytest.raises(
        DataError, match=r"expected batches with a leading batch axis, but the terms of cross_entropy are a scalar"
    ):
        tw.Landscape(mlp(), scalar, data())
    wrong = dataclasses.replace(CROSS, metrics=lambda outputs, batch: {"norm": outputs})
    with pytest.raises(
        ObjectiveError, match=r"metrics: expected norm of the shape of the terms of cross_entropy, \(4,\), got \(4, 3\)"
    ):
        tw.Landscape(mlp(), wrong, data()).evaluate()


def test_a_list_for_a_vector_is_named_in_plain_use():
    """Once without the checks of the tests: what a user sees. The warning names the user's own line, the third."""
    code = (
        "import torch, thalweg as tw\n"
        "model = torch.nn.Linear(1, 1); model.spare = torch.nn.Linear(1, 1)\n"
        "L = tw.Landscape(model, tw.objectives.mse(), [(torch.ones(1, 1), torch.ones(1, 1))])\n"
        "L.loss([0.0, 0.0])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    last = done.stderr.strip().splitlines()[-1]
    assert re.match(r"thalweg\.errors\.ArgumentError: theta: expected a tensor of shape \(4,\), got list\.", last)
    assert "<string>:3: UnreachedParameterWarning: The loss does not depend on spare.weight, spare.bias" in done.stderr


def test_a_sound_landscape_warns_of_nothing_and_reads_the_data_as_often_as_promised():
    class Reads(list):
        passes = 0

        def __iter__(self):
            self.passes += 1
            return super().__iter__()

    checked, unchecked_data = Reads(data()), Reads(data())
    tw.Landscape(scrambled(mlp()), CROSS, checked)
    tw.Landscape(scrambled(mlp()), CROSS, unchecked_data, check=False)
    assert (checked.passes, unchecked_data.passes) == (2, 1)
