"""Would compiling pay?

Forward-over-reverse Hessian products of three networks, compiled by ``torch.compile`` and not, against double backward
through kept graphs: seconds to compile, and gradients a product, on one thread. Contestants run in turn, each between
two gradients, and the median of the ratios counts.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable

import torch
from _contestants import gradient, vectors
from _networks import Case, decoder, perceptron, residual
from _records import Record, finish, parser
from _reference import relative_error, trusted
from _timing import in_turn
from torch import Tensor
from torch.func import functional_call, grad, jvp
from torch.nn.attention import SDPBackend, sdpa_kernel

import thalweg as tw

CPU = torch.device("cpu")


def forward_over_reverse(case: Case, *, compiled: bool) -> Callable[[Tensor], Tensor]:
    """The product with a vector (P,), as PyTorch's documentation writes it."""
    values = {name: parameter.detach() for name, parameter in case.model.named_parameters()}

    def loss(parameters: dict[str, Tensor]) -> Tensor:
        return case.criterion(functional_call(case.model, parameters, (case.inputs,)), case.targets)

    def moved(parameters: dict[str, Tensor], tangents: dict[str, Tensor]) -> dict[str, Tensor]:
        return jvp(grad(loss), (parameters,), (tangents,))[1]

    call = torch.compile(moved) if compiled else moved

    def product(vector: Tensor) -> Tensor:
        parts = torch.split(vector, [value.numel() for value in values.values()])
        tangents = {name: part.view_as(values[name]) for name, part in zip(values, parts, strict=True)}
        with sdpa_kernel(SDPBackend.MATH):
            return torch.cat([part.flatten() for part in call(values, tangents).values()])

    return product


def measured(case: Case, rounds: int) -> list[Record]:
    """Compile, check, and time."""
    block = vectors(case, 1)
    truth, vector = trusted("H", case, block), block[:, 0].contiguous()
    products = {
        "thalweg, double-backward, kept": tw.hessian(case.landscape(), engine="double-backward").__matmul__,
        "forward-over-reverse": forward_over_reverse(case, compiled=False),
        "forward-over-reverse, compiled": forward_over_reverse(case, compiled=True),
    }
    records, errors = list[Record](), dict[str, float]()
    for name, product in products.items():
        started = time.perf_counter()
        errors[name] = relative_error(product(vector).unsqueeze(1), truth)
        first = time.perf_counter() - started
        role = "ours" if name.startswith("thalweg") else "peer"
        records.append(Record(case.name, name, role, "first product", first, "s", errors[name]))
    calls = {name: lambda product=product: product(vector) for name, product in products.items()}
    for name, pairs in in_turn(gradient(case), calls, rounds, CPU).items():
        role = "ours" if name.startswith("thalweg") else "peer"
        units = statistics.median(call / unit for unit, call in pairs)
        records.append(Record(case.name, name, role, "time", units, "gradients", errors[name]))
    return records


def main() -> None:
    """Compare on every network; the quick form takes smaller ones."""
    options = parser(__doc__ or "").parse_args()
    torch.set_num_threads(1)
    rounds = 3 if options.quick else 11
    makers = [perceptron, decoder] if options.quick else [perceptron, residual, decoder]
    with tempfile.TemporaryDirectory() as folder:
        # What an earlier run compiled would be found where it left it.
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = folder
        records = [record for make in makers for record in measured(make(options.quick), rounds)]
    finish(records, options.json)


if __name__ == "__main__":
    main()
