"""What all benchmarks share: the environment, the records, and the two flags."""

import argparse
import json
import os
import platform
import subprocess
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

_PACKAGES = (
    "thalweg",
    "torch",
    "numpy",
    "scipy",
    "curvlinops-for-pytorch",
    "hessian-eigenthings",
    "pyhessian",
    "transformers",
)


@dataclass(frozen=True)
class Record:
    """One figure of one contestant.

    Attributes:
        case: What was asked.
        contestant: Who answered.
        role: "ours", "peer" or "reference".
        metric: What was measured.
        value: The figure.
        unit: Its unit.
        error: Relative error against a trusted answer; ``None`` for the reference itself.
    """

    case: str
    contestant: str
    role: str
    metric: str
    value: float
    unit: str
    error: float | None


def parser(description: str) -> argparse.ArgumentParser:
    """Return a parser of ``--quick`` and ``--json FILE``, which a script may extend."""
    flags = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--quick", action="store_true", help="the same contestants on smaller work, under two minutes")
    flags.add_argument("--json", type=Path, help="write the records there")
    return flags


def data_parser(description: str) -> argparse.ArgumentParser:
    """Return a parser of ``--data-root FOLDER`` too."""
    flags = parser(description)
    flags.add_argument("--data-root", type=Path, help="folder of the data sets; THALWEG_DATA by default")
    return flags


def arguments(description: str) -> argparse.Namespace:
    """Read ``--quick``, ``--json FILE`` and ``--data-root FOLDER``."""
    return data_parser(description).parse_args()


def environment() -> dict[str, object]:
    """Describe where the figures come from."""
    return {
        "versions": {name: _version(name) for name in _PACKAGES} | {"python": platform.python_version()},
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        "commit": _commit(),
    }


def finish(records: list[Record], file: Path | None, **further: object) -> None:
    """Print the records as a table and write them where asked, with what else is known about the environment."""
    width = max((len(record.contestant) for record in records), default=0)
    cases = max((len(record.case) for record in records), default=0)
    for record in records:
        error = "" if record.error is None else f"   error {record.error:.1e}"
        figure = f"{record.metric:>16} {record.value:10.4g} {record.unit}"
        print(f"{record.case:{max(28, cases)}} {record.contestant:{width}} {figure}{error}")
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        content = {"environment": environment() | further, "records": [asdict(record) for record in records]}
        file.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{named[0] if named else platform.machine()}, {os.cpu_count()} cores"


def _commit() -> str | None:
    here = Path(__file__).parent
    found = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=here, capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or None
