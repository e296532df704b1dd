"""What do the top 20 eigenvalues of a Hessian cost?

The time to the 20 largest eigenvalues within 1e-4·λ₁, on three trained networks: a perceptron 784-256-256-10 with 1,024
images of Fashion-MNIST, ResNet-20 with 512 images of CIFAR-10 in eval mode, and a GPT of 10.7 million parameters with
256 characters of Shakespeare. Against ``scipy.sparse.linalg.eigsh`` (ARPACK) on the operator of curvlinops, in turn and
in one process; ours includes the search for missed copies. On the perceptron, the peers' own algorithms too.

The truth is a run in double precision, or for the larger networks Rayleigh–Ritz in double precision, by plain automatic
differentiation, in the span of our vectors; ARPACK finds the same eigenvalues on its own.
"""

import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import _eigensolvers as solvers
import _trained
import numpy as np
from _eigensolvers import ARPACK, Found
from _networks import Case
from _records import Record, data_parser, finish

# The error of eigenvalues in units of the largest, and for ours and for ARPACK the tolerance of residuals.
TOP, WANTED = 20, 1e-4
OURS = "thalweg"
Solver = Callable[[Case, int, float], Found]
SOLVERS: dict[str, Solver] = {OURS: solvers.ours, ARPACK: solvers.arpack}
# They take much longer, or answer wrongly: once. Products of curvlinops with the GPT are off by 1e-3, so that another
# peer has to stand in there.
BESIDE: dict[str, Solver] = {"hessian-eigenthings + ARPACK": solvers.arpack_on_eigenthings}
ONCE: dict[str, dict[str, Solver]] = {
    "mlp": {**BESIDE, "hessian-eigenthings": solvers.eigenthings, "PyHessian": solvers.pyhessian},
    "resnet": {},
    "gpt": BESIDE,
}


@dataclass
class Runs:
    """What one contestant did on one network."""

    seconds: list[float] = field(default_factory=list)
    answers: list[Found] = field(default_factory=list)
    error: float = 0.0

    def take(self, solver: Solver, case: Case) -> None:
        """Run once more."""
        started = time.perf_counter()
        self.answers.append(solver(case, TOP, WANTED))
        self.seconds.append(time.perf_counter() - started)


def perceptrons(root: Path | None, quick: bool) -> Iterator[Case]:
    """Three networks, or one."""
    for seed in range(1 if quick else 3):
        yield _trained.perceptron(root, quick, seed)


NETWORKS: dict[str, Callable[[Path | None, bool], Iterator[Case]]] = {
    "mlp": perceptrons,
    "resnet": lambda root, quick: iter([_trained.residual(root, quick)]),
    "gpt": lambda root, quick: iter([_trained.decoder(root, quick)]),
}
# Rounds on each network, and items of it that fit into memory at once in double precision.
ROUNDS, CHUNK = {"mlp": 5, "resnet": 1, "gpt": 3}, {"resnet": 32, "gpt": 4}


def measured(network: str, root: Path | None, quick: bool) -> list[Record]:
    """Run the contestants in turn, and hold them against the truth."""
    runs: dict[str, Runs] = {name: Runs() for name in SOLVERS}
    residual, name = 0.0, ""
    for index, case in enumerate(NETWORKS[network](root, quick)):
        name = case.name
        once = ONCE[network] if index == 0 else {}
        runs |= {peer: Runs() for peer in once}
        rounds = min(2, ROUNDS[network]) if quick else ROUNDS[network]
        for _ in range(rounds):
            for contestant, solver in SOLVERS.items():
                runs[contestant].take(solver, case)
        for contestant, solver in once.items():
            runs[contestant].take(solver, case)
        truth, bound = _truth(network, case, runs[OURS].answers[-1])
        residual = max(residual, bound / float(truth[0]))
        for contestant in [*SOLVERS, *once]:
            run = runs[contestant]
            latest = run.answers[-rounds if contestant in SOLVERS else -1 :]
            wrong = max(float(np.abs(found.values - truth).max() / truth[0]) for found in latest)
            run.error = max(run.error, wrong)
    if runs[OURS].error > WANTED:
        found = {contestant: run.error for contestant, run in runs.items()}
        raise RuntimeError(f"spectra: our answer is wrong by more than {WANTED:g} of λ₁: {found}.")
    return [
        Record(name, "double precision", "reference", "largest residual", residual, "of λ₁", None),
        *figures(name, runs),
    ]


def figures(case: str, runs: Mapping[str, Runs]) -> list[Record]:
    """Products, times and shares; those who answer wrongly are named, and do not compete."""
    records = []
    for name, run in runs.items():
        role = "ours" if name == OURS else "peer"
        products = statistics.median(found.products for found in run.answers)
        if products:
            records.append(Record(case, name, role, "median products", products, "", run.error))
        records.append(Record(case, name, role, "median time", statistics.median(run.seconds), "s", run.error))
        if name in SOLVERS:
            shares = [1 - one.inside / total for one, total in zip(run.answers, run.seconds, strict=True)]
            share = statistics.median(shares)
            records.append(Record(case, name, role, "outside products", share, "of the time", run.error))
    mine, right = runs[OURS], [name for name in runs if name != OURS and runs[name].error <= WANTED]
    pairs = zip(mine.seconds, runs[ARPACK].seconds, strict=True)
    ratio = statistics.median(one / other for one, other in pairs)
    records.append(Record(case, OURS, "ours", "median time ratio", ratio, f"of {ARPACK}", mine.error))
    if not right:
        return records
    best = min(right, key=lambda name: statistics.median(runs[name].seconds))
    if best != ARPACK:
        ratio = statistics.median(mine.seconds) / statistics.median(runs[best].seconds)
        records.append(Record(case, OURS, "ours", "time over best peer", ratio, f"of {best}", mine.error))
    return records


def main() -> None:
    """Ask on every network, or on those named."""
    flags = data_parser(__doc__ or "")
    flags.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS), help="all by default")
    options = flags.parse_args()
    warnings.simplefilter("ignore", FutureWarning)
    records = [record for name in options.networks for record in measured(name, options.data_root, options.quick)]
    finish(records, options.json)


def _truth(network: str, case: Case, mine: Found) -> tuple[np.ndarray, float]:
    if network == "mlp":
        return solvers.converged(case, TOP)
    if mine.vectors is None:
        raise TypeError("spectra: expected eigenvectors, got none.")
    return solvers.refined(case, mine.vectors, CHUNK[network])


if __name__ == "__main__":
    main()
