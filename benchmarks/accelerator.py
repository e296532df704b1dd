"""What does a product with a curvature matrix cost on an accelerator?

GPT-2 with 124M parameters and a decoder with 1.1e9, built from their configurations, on random tokens and one CUDA
device: time of products in units of a gradient, peak memory, and the relative error. The trusted answer is computed in
double precision where that fits. Without a device it says so and records nothing; --device cpu --quick runs there.
"""

import argparse
import functools
import gc
import itertools
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from _contestants import Contestant, gradient, ours, peers, vectors
from _networks import GPT, Case, language
from _records import Record, finish, parser
from _reference import relative_error, trusted
from _timing import in_turn
from torch import Tensor, nn

import thalweg as tw

GIBI = 2**30
BLOCK = 4
Result = TypeVar("Result")


@dataclass(frozen=True)
class Decoder:
    """A configuration in the manner of GPT-2, and the tokens that it reads."""

    name: str
    vocabulary: int
    context: int
    layers: int
    width: int
    heads: int
    shape: tuple[int, int]


FULL = [
    Decoder("GPT-2 124M, 4 × 512 tokens", 50257, 1024, 12, 768, 12, (4, 512)),
    Decoder("decoder 1.1e9, 2 × 512 tokens", 50257, 1024, 20, 2048, 16, (2, 512)),
]
QUICK = [Decoder("decoder 2 × 64, 2 × 32 tokens", 256, 32, 2, 64, 4, (2, 32))]


class Autocast(nn.Module):
    """A model whose matrix products run in bfloat16, its parameters and outputs in single precision."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits (N, T, V)."""
        with torch.autocast(tokens.device.type, torch.bfloat16):
            return self.body(tokens).float()


class Logits(nn.Module):
    """A model of transformers as a function from tokens to logits."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits (N, T, V)."""
        return self.body(input_ids=tokens, use_cache=False).logits


def built(decoder: Decoder, device: torch.device) -> tuple[Case, str]:
    """Build a decoder by transformers, or the same one by ourselves where that is not installed; say by whom."""
    numbers = (decoder.vocabulary, decoder.context, decoder.layers, decoder.width, decoder.heads)
    with torch.random.fork_rng(devices=[]), torch.device(device):
        torch.manual_seed(0)
        try:
            from transformers import GPT2Config, GPT2LMHeadModel
        except ModuleNotFoundError:
            model, origin = GPT(*numbers), "benchmarks/_networks.py"
        else:
            names = ("vocab_size", "n_positions", "n_layer", "n_embd", "n_head")
            config = GPT2Config(**dict(zip(names, numbers, strict=True)), bos_token_id=0, eos_token_id=0)
            model, origin = Logits(GPT2LMHeadModel(config)), "transformers"
    source = torch.Generator().manual_seed(0)
    case = language(decoder.name, model, decoder.vocabulary, decoder.shape, source)
    tokens = case.inputs.to(device)
    return replace(case, inputs=tokens, targets=tokens, batch=tokens), origin


def rows(case: Case) -> Iterator[tuple[str, str, Case, Contestant, int]]:
    """Yield (precision, name of the matrix, case, contestant, vectors a block)."""
    # The survey at construction would hold two gradients more.
    unchecked = ours("H", _unchecked) + ours("G", _unchecked) + ours("Σ", _unchecked)
    for contestant in unchecked + peers():
        for width in (1, BLOCK) if contestant.blocks else (1,):
            yield "float32", contestant.matrix, case, contestant, width
    cast = replace(case, model=Autocast(case.model).eval())
    for contestant in unchecked:
        if contestant.matrix != "Σ" and not contestant.name.endswith("finite-differences"):
            yield "bfloat16", contestant.matrix, cast, contestant, 1


def measured(case: Case, repeats: int, device: torch.device) -> Iterator[Record]:
    """Time every row of one decoder, one operator in memory at a time."""
    truths = {}
    for matrix, width in itertools.product(("H", "G", "Σ"), (1, BLOCK)):
        _clean(device)
        question = f"{case.name}, {matrix}, double precision"
        truths[matrix, width] = _attempt(question, functools.partial(_truth, matrix, case, width))
    seen = set()
    for precision, matrix, shown, contestant, width in rows(case):
        _clean(device)
        if precision not in seen:
            seen.add(precision)
            yield from _unit(shown, precision, repeats, device)
        question = f"{case.name}, {precision}, {matrix}, {'single' if width == 1 else f'block of {width}'}"
        name, role = contestant.name, contestant.role
        row = functools.partial(_row, contestant, shown, width, repeats, device)
        found = _attempt(f"{question}, {name}", row)
        if found is None:
            continue
        product, units, peak = found
        truth = truths[matrix, width]
        error = None if truth is None else relative_error(product.cpu(), truth)
        yield Record(question, name, role, "time", units / width, "gradients a vector", error)
        if peak is not None:
            yield Record(question, name, role, "peak memory", peak / GIBI, "GiB", error)


def main() -> None:
    """Measure what the device holds."""
    flags = parser(__doc__ or "")
    flags.add_argument("--device", default="cuda", help="where to run; the processor needs --quick (default: cuda)")
    options = flags.parse_args()
    device = _device(flags, options)
    if device is None:
        print("no CUDA device")
        finish([], options.json, device=None)
        return
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "processor"
    records, origins = list[Record](), dict[str, str]()
    for decoder in QUICK if options.quick else FULL:
        case, origins[decoder.name] = built(decoder, device)
        records += measured(case, 3 if options.quick else 10, device)
        del case
        _clean(device)
    finish(records, options.json, device=name, models=origins, tf32=torch.backends.cuda.matmul.allow_tf32)


def _device(flags: argparse.ArgumentParser, options: argparse.Namespace) -> torch.device | None:
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        return None
    if device.type == "cpu" and not options.quick:
        flags.error("--device cpu: expected --quick too; the full models would take hours there.")
    return device


def _unchecked(case: Case) -> tw.Landscape:
    return case.landscape(check=False)


def _truth(matrix: str, case: Case, width: int) -> Tensor:
    return trusted(matrix, case, vectors(case, width)).cpu()


def _unit(case: Case, precision: str, repeats: int, device: torch.device) -> Iterator[Record]:
    question = f"{case.name}, {precision}"
    _reset_peak(device)
    pairs = in_turn(gradient(case), {"gradient": gradient(case)}, repeats, device)["gradient"]
    seconds = statistics.median(unit for unit, _ in pairs)
    yield Record(question, "PyTorch", "reference", "gradient", seconds, "s", None)
    peak = _peak(device)
    if peak is not None:
        yield Record(question, "PyTorch", "reference", "peak memory", peak / GIBI, "GiB", None)


def _row(
    contestant: Contestant, case: Case, width: int, repeats: int, device: torch.device
) -> tuple[Tensor, float, int | None]:
    _reset_peak(device)
    product, block = contestant.build(case), vectors(case, width)
    answer = product(block)
    # A second product, since the first one does what is paid once.
    product(block)
    peak = _peak(device)
    pairs = in_turn(gradient(case), {"product": lambda: product(block)}, repeats, device)["product"]
    return answer, statistics.median(call / unit for unit, call in pairs), peak


def _attempt(what: str, call: Callable[[], Result]) -> Result | None:
    try:
        return call()
    except (RuntimeError, ValueError, ModuleNotFoundError, tw.errors.ThalwegError) as error:
        print(f"{what}: left out: {str(error).splitlines()[0] if str(error) else type(error).__name__}")
        return None


def _clean(device: torch.device) -> None:
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _reset_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def _peak(device: torch.device) -> int | None:
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None


if __name__ == "__main__":
    main()
