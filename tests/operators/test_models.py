"""Operators of the models that people have: Hugging Face's, tied, frozen, checkpointed, with buffers."""

import functools

import pytest
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.checkpoint import checkpoint

import thalweg as tw
from tests.landscape.models import classes, randn, scrambled
from tests.landscape.snapshot import unchanged
from tests.operators.hub import HUBS, Hub, gpt2, gpt2_model, text
from tests.operators.twin import dense_hessian
from tests.operators.twins_of_jacobians import dense_empirical_fisher, dense_ggn, dense_gradient_covariance

OPERATORS = {
    "hessian": tw.hessian,
    "ggn": tw.ggn,
    "fisher": tw.fisher,
    "empirical fisher": functools.partial(tw.fisher, kind="empirical"),
    "gradient covariance": tw.gradient_covariance,
}
TWINS = {
    "hessian": lambda hub: dense_hessian(hub.model, hub.own_loss, hub.batches, hub.total),
    "ggn": lambda hub: dense_ggn(hub.problem),
    "fisher": lambda hub: dense_ggn(hub.problem),
    "empirical fisher": lambda hub: dense_empirical_fisher(hub.problem),
    "gradient covariance": lambda hub: dense_gradient_covariance(hub.problem),
}
# The softmax of this one is computed in single precision, whatever the model's.
SINGLE = {"vit, eager"}
CROSS = tw.objectives.cross_entropy()


@functools.cache
def built(name: str) -> Hub:
    return HUBS[name]()


@functools.cache
def landscape_of(name: str) -> tw.Landscape:
    return built(name).landscape()


@functools.cache
def twin_of(name: str, kind: str) -> Tensor:
    return TWINS["ggn" if kind == "fisher" else kind](built(name))


def close(found: Tensor, expected: Tensor, rtol: float = 1e-10) -> None:
    torch.testing.assert_close(found, expected, rtol=rtol, atol=rtol * float(expected.abs().max()))


def flags() -> list[bool]:
    cuda = torch.backends.cuda
    return [
        cuda.flash_sdp_enabled(),
        cuda.mem_efficient_sdp_enabled(),
        cuda.math_sdp_enabled(),
        cuda.cudnn_sdp_enabled(),
    ]


# ---------------------------------------------------------------------- Hugging Face


FORWARD = pytest.param(
    "forward-over-reverse",
    marks=pytest.mark.skipif(torch.__version__ < "2.13", reason="gradient checkpointing of older versions has no jvp"),
)


@pytest.mark.parametrize("name", HUBS)
def test_the_loss_is_the_models_own(name):
    hub = built(name)
    with torch.no_grad():
        own = sum(hub.own_loss(hub.model, batch) for batch in hub.batches) / hub.total
    assert landscape_of(name).loss() == pytest.approx(float(own), rel=1e-6 if name in SINGLE else 1e-13)


@pytest.mark.parametrize("kind", OPERATORS)
@pytest.mark.parametrize("name", HUBS)
def test_products_are_those_of_the_dense_twin(name, kind):
    landscape, matrix = landscape_of(name), twin_of(name, kind)
    assert len(matrix) == landscape.size
    vectors = landscape.space.randn(count=6)
    operator = OPERATORS[kind](landscape)
    with unchanged(built(name).model):
        block, single = operator @ vectors, operator @ vectors[:, 0]
    rtol = 1e-6 if name in SINGLE else 1e-10
    close(block, matrix @ vectors, rtol)
    close(single, matrix @ vectors[:, 0], rtol)


@pytest.mark.parametrize("name", ["gpt2, sdpa", "vit, sdpa"])
def test_the_dense_hessian(name):
    close(tw.hessian(landscape_of(name)).dense(), twin_of(name, "hessian"))


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["double-backward", "forward-over-reverse"])
@pytest.mark.parametrize("kind", OPERATORS)
@pytest.mark.parametrize("name", ["gpt2, sdpa", "vit, sdpa"])
def test_the_dense_matrix_by_every_exact_engine(name, kind, engine):
    close(OPERATORS[kind](landscape_of(name), engine=engine).dense(), twin_of(name, kind))


@pytest.mark.parametrize("engine", ["double-backward", "forward-over-reverse", "finite-differences"])
@pytest.mark.parametrize("name", ["gpt2, sdpa", "bert masked, sdpa", "resnet"])
def test_every_engine(name, engine):
    landscape = landscape_of(name)
    vectors = landscape.space.randn(count=2)
    if engine == "finite-differences":
        # What autograd calls constant moves all the same.
        vectors = (vectors.mT * ~padding_row(landscape, built(name).model)).mT
    operator = tw.hessian(landscape, engine=engine)
    found, expected = operator @ vectors, twin_of(name, "hessian") @ vectors
    if engine == "finite-differences":
        error = float(((found - expected).norm(dim=0) / expected.norm(dim=0)).max())
        assert error <= operator.error < 1e-6
    else:
        close(found, expected)


def padding_row(landscape: tw.Landscape, model: nn.Module) -> Tensor:
    """Where the vectors of a landscape hold the embedding of padding, which autograd does not differentiate."""
    mask = torch.zeros_like(landscape.theta, dtype=torch.bool)
    paddings = {name: module.padding_idx for name, module in model.named_modules() if isinstance(module, nn.Embedding)}
    parts = zip(landscape.layout.names, landscape.layout.views(mask), strict=True)
    for name, part in parts:
        padding = paddings.get(name.removesuffix(".weight"))
        if padding is not None:
            part[padding] = True
    return mask


def test_padding_is_constant_to_autograd_and_moves_in_differences():
    name = "bert masked, sdpa"
    landscape = landscape_of(name)
    mask = padding_row(landscape, built(name).model)
    assert int(mask.sum()) == 8
    vector = landscape.space.randn() * mask
    exact, difference = (tw.hessian(landscape, engine=engine) @ vector for engine in ("auto", "finite-differences"))
    close(exact, twin_of(name, "hessian") @ vector)
    assert float((difference - exact).norm()) > 0.1 * float(exact.norm())


def test_micro_batches_of_texts():
    hub = built("gpt2, sdpa")
    vectors = landscape_of("gpt2, sdpa").space.randn(count=2)
    for kind, operator in OPERATORS.items():
        close(operator(hub.landscape(microbatch=1)) @ vectors, twin_of("gpt2, sdpa", kind) @ vectors)


def test_tied_weights_count_once():
    landscape = landscape_of("gpt2, sdpa")
    model = built("gpt2, sdpa").model
    assert model.lm_head.weight is model.transformer.wte.weight
    assert "model.lm_head.weight" not in landscape.layout.names
    assert landscape.size == sum(parameter.numel() for parameter in model.parameters())
    untied = gpt2_model(tie_word_embeddings=False)
    assert sum(p.numel() for p in untied.parameters()) == landscape.size + model.lm_head.weight.numel()


@pytest.mark.parametrize("kind", OPERATORS)
def test_frozen_parameters_are_no_directions(kind):
    name = "bert classifier, sdpa"
    hub = HUBS[name]()
    for parameter in hub.model.bert.embeddings.parameters():
        parameter.requires_grad_(False)
    landscape = hub.landscape()
    assert landscape.layout.names == tuple(n for n, p in hub.model.named_parameters() if p.requires_grad)
    chosen = torch.cat([torch.full((p.numel(),), p.requires_grad) for p in hub.model.parameters()])
    matrix = twin_of(name, kind)[chosen][:, chosen]
    assert 0 < len(matrix) < len(chosen)
    vectors = landscape.space.randn(count=3)
    close(OPERATORS[kind](landscape) @ vectors, matrix @ vectors)


def test_hidden_tokens_do_not_matter():
    """Neither masked labels nor padding: other words in their places leave every matrix as it is."""
    hub = gpt2("sdpa", labelled=True)
    others = text(labelled="tokens")
    for batch in others:
        batch["input_ids"] = batch["input_ids"].where(batch["attention_mask"] == 1, 7)
        assert (batch["labels"] == -100).any()
    assert any((new["input_ids"] != old["input_ids"]).any() for new, old in zip(others, hub.batches, strict=True))
    other = tw.Landscape(hub.model, hub.objective, others)
    vectors = other.space.randn(count=3)
    for kind, operator in OPERATORS.items():
        close(operator(other) @ vectors, twin_of("gpt2, sdpa", kind) @ vectors)


# ---------------------------------------------------------------------- attention


@pytest.mark.parametrize("engine", ["auto", "double-backward", "forward-over-reverse"])
@pytest.mark.parametrize("name", ["gpt2, sdpa", "bert classifier, sdpa", "vit, sdpa"])
def test_fused_attention_falls_back_for_the_length_of_a_product(name, engine):
    hub = built(name)
    assert hub.model.config._attn_implementation == "sdpa"
    seen = []
    handle = hub.model.register_forward_hook(lambda *_: seen.append(flags()))
    try:
        landscape = hub.landscape()
        operator = tw.hessian(landscape, engine=engine)
        before = flags()
        assert before[:3] == [True, True, True]
        seen.clear()
        landscape.gradient()
        assert seen == [before] * 2, "one derivative: the fused kernels are welcome"
        for caller in (None, SDPBackend.FLASH_ATTENTION):
            with sdpa_kernel(caller) if caller else sdpa_kernel([*_allowed()]):
                inside = flags()
                seen.clear()
                operator @ landscape.space.randn(count=2)
                assert flags() == inside
            assert seen or caller, "a kept graph does not run the model again"
            assert all(flag == [False, False, True, False] for flag in seen)
        assert flags() == before
    finally:
        handle.remove()


def _allowed() -> list[SDPBackend]:
    names = (SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH, SDPBackend.CUDNN_ATTENTION)
    return [backend for backend, flag in zip(names, flags(), strict=True) if flag]


def test_flags_come_back_after_an_error():
    hub = HUBS["gpt2, sdpa"]()
    landscape = hub.landscape()
    operator = tw.hessian(landscape, engine="double-backward")
    before = flags()

    def stop(*_: object) -> None:
        raise RuntimeError("the model stops here")

    handle = hub.model.transformer.h[0].register_forward_hook(stop)
    with pytest.raises(RuntimeError, match="the model stops here"):
        operator @ landscape.space.randn()
    handle.remove()
    assert flags() == before
    close(operator @ landscape.space.randn(), twin_of("gpt2, sdpa", "hessian") @ landscape.space.randn())


# ---------------------------------------------------------------------- gradient checkpointing


class Checkpointed(nn.Module):
    """A residual block that saves its input alone, and is run again on the way back."""

    def __init__(self, *, saves: bool, reentrant: bool = False) -> None:
        super().__init__()
        self.saves, self.reentrant = saves, reentrant
        self.stem, self.inner, self.head = nn.Linear(4, 5), nn.Linear(5, 5), nn.Linear(5, 3)

    def block(self, x: Tensor) -> Tensor:
        return x + torch.tanh(self.inner(torch.tanh(x)))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = checkpoint(self.block, x, use_reentrant=self.reentrant) if self.saves else self.block(x)
        return self.head(x)


def checkpointed(saves: bool, inner: nn.Module | None = None) -> tw.Landscape:
    model = Checkpointed(saves=saves)
    if inner is not None:
        model.inner = inner
    model = scrambled(model.double().eval())
    return tw.Landscape(model, CROSS, [(randn(5, 4), classes(5)), (randn(2, 4, seed=3), classes(2))])


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("engine", ["auto", "double-backward", FORWARD])
@pytest.mark.parametrize("kind", OPERATORS)
def test_a_checkpointed_block(kind, engine, keep):
    plain, saving = checkpointed(False), checkpointed(True)
    vectors = plain.space.randn(count=3)
    expected = OPERATORS[kind](plain) @ vectors
    operator = OPERATORS[kind](saving, engine=engine, keep=keep)
    for _ in range(2):
        close(operator @ vectors, expected)
    close(operator @ vectors[:, 0], expected[:, 0])


# What the engines put functions of their own in the place of, which must be theirs when the block is run again.
REPLACED = {
    "batch norm": lambda: nn.BatchNorm1d(5),
    "layer norm and GELU": lambda: nn.Sequential(nn.LayerNorm(5), nn.GELU()),
    "ReLU": lambda: nn.Sequential(nn.Linear(5, 5), nn.ReLU()),
    "weight norm": lambda: nn.utils.parametrizations.weight_norm(nn.Linear(5, 5)),
    "hard sigmoid": nn.Hardsigmoid,
    "convolution": lambda: nn.Sequential(nn.Unflatten(1, (1, 5)), nn.Conv1d(1, 1, 3, padding=1), nn.Flatten()),
}


@pytest.mark.parametrize("engine", ["double-backward", FORWARD])
@pytest.mark.parametrize("kind", ["hessian", "ggn", "gradient covariance"])
@pytest.mark.parametrize("name", REPLACED)
def test_a_checkpointed_block_of_replaced_functions(name, kind, engine):
    plain, saving = (checkpointed(saves, REPLACED[name]()) for saves in (False, True))
    close(plain.theta, saving.theta)
    vectors = plain.space.randn(count=2)
    expected = OPERATORS[kind](plain, engine="double-backward") @ vectors
    operator = OPERATORS[kind](saving, engine=engine)
    for _ in range(2):
        close(operator @ vectors, expected)


@pytest.mark.parametrize("engine", ["double-backward", FORWARD, "finite-differences"])
def test_a_checkpointed_block_at_another_point(engine):
    """The block is run again when the model has its own parameters back; it must see those of the landscape."""
    plain, saving = checkpointed(False), checkpointed(True)
    theta = plain.theta + 0.3 * randn(plain.size)
    close(saving.gradient(theta), plain.gradient(theta))
    plain, saving = plain.at(theta), saving.at(theta)
    vectors = plain.space.randn(count=2)
    expected = tw.hessian(plain) @ vectors
    close(tw.hessian(saving, engine=engine) @ vectors, expected, 1e-7 if engine == "finite-differences" else 1e-10)


def test_a_checkpointed_block_with_frozen_parameters():
    plain, saving = checkpointed(False), checkpointed(True)
    chosen = ["inner.weight", "head.*"]
    plain, saving = (tw.Landscape(part.model, CROSS, part.data, params=chosen) for part in (plain, saving))
    vectors = plain.space.randn(count=2)
    for operator in OPERATORS.values():
        close(operator(saving) @ vectors, operator(plain) @ vectors)


@pytest.mark.parametrize("keep", [True, False])
def test_a_checkpointed_block_of_a_model_that_trains_on(keep):
    saving, expected = checkpointed(True), checkpointed(False)
    vector = saving.space.randn()
    operator = tw.hessian(saving, engine="double-backward", keep=keep)
    first = operator @ vector
    with torch.no_grad():
        for parameter in saving.model.parameters():
            parameter.mul_(3)
    close(operator @ vector, first)
    close(saving.gradient(), expected.gradient())


@pytest.mark.parametrize("kind", OPERATORS)
def test_gradient_checkpointing_of_hugging_face(kind):
    """Their layers are checkpointed in train mode alone; without dropout it is the same landscape."""
    model = gpt2_model(resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0)
    model.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
    assert model.is_activation_checkpointing
    hub = gpt2("sdpa", labelled=True)
    landscape = tw.Landscape(model, hub.objective, hub.batches, mode="train")
    runs = list[None]()
    model.transformer.h[0].ln_1.register_forward_hook(lambda *_: runs.append(None))
    landscape.gradient()
    assert len(runs) == 2 * len(hub.batches), "each layer is run again on the way back"
    vectors = landscape.space.randn(count=3)
    close(OPERATORS[kind](landscape) @ vectors, twin_of("gpt2, sdpa", kind) @ vectors)


# ---------------------------------------------------------------------- buffers


class Buffered(nn.Module):
    """A mask and a scale that are no parameters; one of them is not stored with the model."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 5), nn.Linear(5, 3)
        self.register_buffer("mask", torch.tensor([1.0, 0.0, 1.0, 1.0, 0.0]))
        self.register_buffer("scale", torch.tensor(1.7), persistent=False)
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        return self.second(torch.tanh(self.first(x)) * self.mask * self.scale)


@pytest.mark.parametrize("kind", OPERATORS)
def test_modules_with_buffers(kind):
    model = scrambled(Buffered().double())
    batch = (randn(7, 4), classes(7))
    landscape = tw.Landscape(model, CROSS, [batch])
    plain = scrambled(nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).double())
    with torch.no_grad():
        plain[2].weight.mul_(model.mask * model.scale)
    # In the folded weights w' = s w the matrix is S A' S.
    fold = torch.cat([torch.ones(25), (model.mask * model.scale).expand(3, 5).flatten(), torch.ones(3)]).double()
    vectors = landscape.space.randn(count=3)
    folded = OPERATORS[kind](tw.Landscape(plain, CROSS, [batch])) @ (fold[:, None] * vectors)
    with unchanged(model):
        found = OPERATORS[kind](landscape) @ vectors
    close(found, fold[:, None] * folded)
    assert set(landscape.buffers) == {"mask", "scale", "calls"}


def test_a_checkpoint_that_cannot_be_differentiated_says_so():
    model = scrambled(Checkpointed(saves=True, reentrant=True).double())
    with pytest.raises(RuntimeError, match="use_reentrant"):
        tw.Landscape(model, CROSS, [(randn(5, 4), classes(5))])
