"""Operations of PyTorch as functions of the tensors that they are differentiated by.

A case is a function and the shapes of its arguments. An operation that a user's model may have belongs here, so that
its second derivatives are held against another way of computing them in every version of PyTorch.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from tests.landscape.models import DOUBLE

Case = tuple[Callable[..., Tensor], tuple[tuple[int, ...], ...]]

_MATRIX = (3, 4)
_CLASSES = torch.tensor([0, 3, 1])
_INDICES = torch.tensor([[0, 2, 1], [3, 3, 0]])
_IMAGES = (2, 2, 4, 4)
_HEADS = ((2, 2, 3, 4),) * 3
_LOWER = torch.ones(3, 3, dtype=torch.bool).tril()

OPERATIONS: dict[str, Case] = {}


def _add(name: str, function: Callable[..., Tensor], *shapes: tuple[int, ...]) -> None:
    OPERATIONS[name] = (function, shapes)


def _full(value: float, *shape: int) -> Tensor:
    return torch.full(shape, value, dtype=DOUBLE)


def _module(name: str, make: Callable[[], nn.Module], *inputs: tuple[int, ...], repeat: int = 1) -> None:
    """Add a module as a function of its inputs and parameters; ``repeat`` gives it the same input so often."""
    module = make().double()
    names = [name for name, _ in module.named_parameters()]

    def call(*tensors: Tensor) -> Tensor:
        given, parameters = tensors[: len(inputs)], tensors[len(inputs) :]
        outputs = functional_call(module, dict(zip(names, parameters, strict=True)), given * repeat)
        return outputs[0] if isinstance(outputs, tuple) else outputs

    _add(name, call, *inputs, *(tuple(parameter.shape) for parameter in module.parameters()))


# Norms.
_add("layer norm", lambda x, w, b: functional.layer_norm(x, (4,), w, b), _MATRIX, (4,), (4,))
_add("layer norm, plain", lambda x: functional.layer_norm(x, (4,)), _MATRIX)
_add("layer norm, two axes", lambda x, w, b: functional.layer_norm(x, (2, 2), w, b), (3, 2, 2), (2, 2), (2, 2))
for _training in (True, False):
    _mode = "train" if _training else "eval"
    for _name, _norm in (("batch", functional.batch_norm), ("instance", functional.instance_norm)):
        _options = {"training": _training} if _name == "batch" else {"use_input_stats": _training}
        _add(
            f"{_name} norm, {_mode}",
            # Copies, since training writes into them.
            lambda x, w, b, norm=_norm, options=_options: norm(
                x, _full(0.3, 2), _full(1.7, 2), weight=w, bias=b, **options
            ),
            (3, 2, 2),
            (2,),
            (2,),
        )
_add("batch norm, no statistics", lambda x: functional.batch_norm(x, None, None, training=True), (5, 3))
_add("batch norm, images", lambda x, w: functional.batch_norm(x, None, None, w, training=True), (2, 2, 2, 2), (2,))
_add("group norm", lambda x, w, b: functional.group_norm(x, 2, w, b), (2, 4, 2), (4,), (4,))
_add("group norm, plain", lambda x: functional.group_norm(x, 2), (2, 4, 2))
_add("rms norm", lambda x, w: functional.rms_norm(x, (4,), w), _MATRIX, (4,))
_add("local response norm", lambda x: functional.local_response_norm(x, 2), (2, 4, 2))
_add("normalize", functional.normalize, _MATRIX)

# Probabilities and losses.
_add("softmax", partial(functional.softmax, dim=-1), _MATRIX)
_add("log softmax", partial(functional.log_softmax, dim=-1), _MATRIX)
_add("logsumexp", partial(torch.logsumexp, dim=-1), _MATRIX)
_add("cross entropy", lambda x: functional.cross_entropy(x, _CLASSES, reduction="none"), _MATRIX)
_add("cross entropy, mean", lambda x: functional.cross_entropy(x, _CLASSES), _MATRIX)
_add(
    "cross entropy, smoothed and weighted",
    lambda x: functional.cross_entropy(
        x, torch.tensor([0, 3, -100]), weight=torch.arange(1.0, 5.0, dtype=DOUBLE), label_smoothing=0.1
    ),
    _MATRIX,
)
_add("cross entropy, soft targets", lambda x: functional.cross_entropy(x, _full(0.25, 3, 4)), _MATRIX)
_add("nll", lambda x: functional.nll_loss(x.tanh(), _CLASSES), _MATRIX)
_add("bce with logits", lambda x: functional.binary_cross_entropy_with_logits(x, _full(0.3, 3, 4)), _MATRIX)
_add("bce", lambda x: functional.binary_cross_entropy(x.sigmoid(), _full(0.3, 3, 4)), _MATRIX)
_add("mse", functional.mse_loss, _MATRIX, _MATRIX)
_add("smooth l1", partial(functional.smooth_l1_loss, reduction="none"), _MATRIX, _MATRIX)
_add("huber", partial(functional.huber_loss, reduction="none", delta=0.7), _MATRIX, _MATRIX)
_add("soft margin", lambda x: functional.soft_margin_loss(x, _full(1, 3, 4), reduction="none"), _MATRIX)
_add("kl", lambda x: functional.kl_div(x.log_softmax(-1), _full(0.25, 3, 4), reduction="none"), _MATRIX)
_add("cosine similarity", functional.cosine_similarity, _MATRIX, _MATRIX)

# Activations.
_ACTIVATIONS = """gelu silu mish relu relu6 leaky_relu elu celu selu softplus softsign tanh sigmoid logsigmoid hardtanh
hardswish hardsigmoid hardshrink softshrink tanhshrink glu rrelu"""
for _name in _ACTIVATIONS.split():
    _add(_name, getattr(functional, _name), _MATRIX)
_add("gelu, tanh", partial(functional.gelu, approximate="tanh"), _MATRIX)
_add("relu in place", lambda x: functional.relu(2 * x, inplace=True), _MATRIX)
_add("prelu", functional.prelu, _MATRIX, (4,))
_add("dropout, eval", lambda x: functional.dropout(x, training=False), _MATRIX)

# Linear maps and convolutions.
_add("linear", functional.linear, _MATRIX, (2, 4), (2,))
_add("bilinear", functional.bilinear, (2, 3), (2, 4), (2, 3, 4), (2,))
_add("einsum", lambda a, b, c: torch.einsum("ij,jk,ki->ik", a, b, c), (2, 3), (3, 4), (4, 2))
_add("conv1d", functional.conv1d, (2, 2, 5), (3, 2, 3), (3,))
_add("conv2d", partial(functional.conv2d, padding=1, stride=2), (1, 2, 4, 4), (2, 2, 3, 3), (2,))
_add("conv2d, groups", partial(functional.conv2d, groups=2, dilation=2), (1, 2, 4, 4), (2, 1, 2, 2))
_add("conv3d", functional.conv3d, (1, 1, 3, 3, 3), (2, 1, 2, 2, 2), (2,))
_add("conv transpose 1d", functional.conv_transpose1d, (1, 2, 4), (2, 2, 3), (2,))
_add("conv transpose 2d", partial(functional.conv_transpose2d, stride=2), (1, 2, 2, 2), (2, 2, 2, 2), (2,))
_add("weight norm", torch._weight_norm, _MATRIX, (3, 1))
_add("weight norm, last axis", partial(torch._weight_norm, dim=1), _MATRIX, (1, 4))
_module("weight norm, parametrised", lambda: nn.utils.parametrizations.weight_norm(nn.Linear(3, 4)), (2, 3))

# Pools and grids.
_add("max pool", partial(functional.max_pool2d, kernel_size=2), _IMAGES)
_add("max pool, overlapping", partial(functional.max_pool2d, kernel_size=3, stride=1), _IMAGES)
_add("max pool 1d", partial(functional.max_pool1d, kernel_size=2), (2, 2, 4))
_add("average pool", partial(functional.avg_pool2d, kernel_size=3, stride=1, padding=1), _IMAGES)
_add("adaptive average pool", partial(functional.adaptive_avg_pool2d, output_size=3), _IMAGES)
_add("global average pool", partial(functional.adaptive_avg_pool2d, output_size=1), _IMAGES)
_add("adaptive max pool", partial(functional.adaptive_max_pool2d, output_size=3), _IMAGES)
for _name, _size in (("bilinear", 6), ("nearest", 8), ("bicubic", 6), ("area", 2)):
    _add(f"interpolate, {_name}", partial(functional.interpolate, size=_size, mode=_name), (1, 2, 4, 4))
for _name in ("reflect", "replicate", "circular"):
    _add(f"pad, {_name}", partial(functional.pad, pad=(1, 1, 1, 1), mode=_name), (1, 2, 3, 3))
_add("unfold", partial(functional.unfold, kernel_size=2), (1, 2, 3, 3))
_add("pixel shuffle", partial(functional.pixel_shuffle, upscale_factor=2), (1, 4, 2, 2))

# Sequences.
_add("embedding", lambda w: functional.embedding(_INDICES, w), (4, 3))
for _padding in (0, -1):
    _add(
        f"embedding, padding {_padding}",
        lambda w, m, padding=_padding: (functional.embedding(_INDICES, w, padding) @ m).tanh(),
        (4, 3),
        (3, 2),
    )
_attention = functional.scaled_dot_product_attention
_add("attention", _attention, *_HEADS)
_add("attention, causal", partial(_attention, is_causal=True), *_HEADS)
_add("attention, mask", partial(_attention, attn_mask=_LOWER), *_HEADS)
_add("attention, bias", _attention, *_HEADS, (3, 3))
_add("attention, scale", partial(_attention, scale=0.3), *_HEADS)
_add("attention, grouped", partial(_attention, enable_gqa=True), (1, 4, 3, 2), (1, 2, 3, 2), (1, 2, 3, 2))
_module("multi-head attention", lambda: nn.MultiheadAttention(2, 2, batch_first=True), (2, 3, 2), repeat=3)
for _mode in ("train", "eval"):
    _module(
        f"encoder layer, {_mode}",
        lambda mode=_mode: nn.TransformerEncoderLayer(2, 1, 3, dropout=0.0, batch_first=True).train(mode == "train"),
        (2, 3, 2),
    )
for _cell in (nn.LSTM, nn.GRU, nn.RNN, nn.LSTMCell, nn.GRUCell, nn.RNNCell):
    _shape = (2, 3) if _cell.__name__.endswith("Cell") else (3, 2, 3)
    _module(_cell.__name__, lambda cell=_cell: cell(3, 2), _shape)

# Reductions, orders and scatters.
_add("norm", partial(torch.linalg.vector_norm, dim=-1), _MATRIX)
_add("standard deviation", partial(torch.std, dim=-1), _MATRIX)
_add("product", partial(torch.prod, dim=1), _MATRIX)
_add("cumulative sum", partial(torch.cumsum, dim=1), _MATRIX)
_add("cumulative product", partial(torch.cumprod, dim=1), _MATRIX)
_add("sort", lambda x: x.sort(1).values, _MATRIX)
_add("top k", lambda x: x.topk(2).values, _MATRIX)
_add("maximum", lambda x: x.amax(1), _MATRIX)
_add("index", lambda x: x[_INDICES], (4, 3))
_add("scatter", lambda x: x.new_zeros(2, 4).index_add(0, torch.tensor([0, 1, 1]), x), _MATRIX)
_add("where", lambda x, y: torch.where(x > 0, x * y, y), _MATRIX, _MATRIX)
_add("masked fill", lambda x: x.masked_fill(x > 0.5, -1.0), _MATRIX)
_add("fourier", lambda x: torch.fft.rfft(x).abs(), (5,))
_add("solve", torch.linalg.solve, (3, 3), (3,))
_add("log determinant", lambda x: torch.logdet(x @ x.mT + torch.eye(3, dtype=DOUBLE)), (3, 3))
