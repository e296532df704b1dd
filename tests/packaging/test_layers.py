"""The rooms of the house stand on one another: an import never goes up, and never outside what is declared."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import thalweg

SOURCE = Path(thalweg.__file__).parent
REPOSITORY = SOURCE.parent.parent

GROUND = {"errors", "record", "estimate", "vectors", "objectives", "landscape", "memory", "precision", "progress"}
CURVATURE = GROUND | {"operators", "krylov"}
QUANTITIES = CURVATURE | {"descent", "measures", "paths", "surfaces"}
TRAINING = QUANTITIES | {"theory", "predict", "optim", "training"}
STUDY = TRAINING | {"models", "data", "study"}

# What each room may import. docs/architecture.md says why.
ROOMS: dict[str, set[str]] = {
    "errors": set(),
    "memory": {"errors"},
    "precision": set(),
    "progress": {"errors"},
    "record": {"errors"},
    "estimate": {"errors", "record"},
    "vectors": {"errors", "record", "estimate", "precision"},
    "objectives": {"errors", "record", "estimate", "vectors"},
    "landscape": GROUND - {"landscape"},
    "operators": GROUND,
    "krylov": {"errors", "memory", "progress", "record", "estimate", "vectors", "operators._operator"},
    "descent": CURVATURE,
    "measures": CURVATURE | {"descent"},
    "paths": CURVATURE | {"descent", "measures"},
    "surfaces": CURVATURE | {"descent", "measures"},
    "theory": {"errors"},
    "predict": CURVATURE | {"theory", "descent", "measures"},
    "optim": CURVATURE | {"measures"},
    "models": {"errors"},
    "data": {"errors"},
    "training": CURVATURE | {"descent", "measures", "theory", "predict", "optim"},
    "study": STUDY - {"study"},
    "figures": STUDY,
    "report": STUDY | {"figures"},
    "cli": STUDY | {"figures", "report"},
}

CORE = {"torch", "numpy", "scipy", "safetensors", "jaxtyping"}
IMPORT_NAMES = {"scikit-learn": "sklearn", "pyyaml": "yaml"}


def python_files() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def room_of(file: Path) -> str:
    first, *rest = file.relative_to(SOURCE).parts
    return first if rest else file.stem


def imported(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Every module that the code names in an import, with its line; ``from a import b`` may mean ``a.b``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            assert node.module is not None
            if node.module == "thalweg":
                yield from ((f"thalweg.{alias.name}", node.lineno) for alias in node.names)
            else:
                yield node.module, node.lineno


def test_the_plan_itself_has_no_way_back():
    rooms = {room: {name.split(".")[0] for name in below} for room, below in ROOMS.items()}
    assert set(TopologicalSorter(rooms).static_order()) == set(ROOMS)


def test_every_file_is_in_a_room():
    outside = {room_of(file) for file in python_files()} - set(ROOMS) - {"__init__", "__main__", "_version"}
    assert not outside, f"rooms that the plan does not know: {sorted(outside)}"


@pytest.mark.parametrize("room", ROOMS)
def test_lower_rooms_do_not_import_higher_ones(room):
    wrong = []
    for file in python_files():
        if room_of(file) != room:
            continue
        for module, line in imported(ast.parse(file.read_text(encoding="utf-8"))):
            package, _, path = module.partition(".")
            if package != "thalweg" or path.split(".")[0] in {room, "_version"}:
                continue
            if not any(path == allowed or path.startswith(f"{allowed}.") for allowed in ROOMS[room]):
                wrong.append(f"{file.relative_to(SOURCE)}:{line} imports {module}")
    assert not wrong, "\n".join(wrong)


def test_theory_is_numpy_and_scipy_alone():
    allowed = {"numpy", "scipy", "jaxtyping", "thalweg"} | sys.stdlib_module_names
    for file in python_files():
        if room_of(file) == "theory":
            packages = {module.split(".")[0] for module, _ in imported(ast.parse(file.read_text(encoding="utf-8")))}
            assert packages <= allowed, f"{file}: {packages - allowed}"


def declared_packages() -> set[str]:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    optional = project["optional-dependencies"]
    requirements = [*project["dependencies"], *optional["cli"], *optional["report"], *optional["data"]]
    names = [re.split(r"[^A-Za-z0-9._-]", requirement)[0].lower() for requirement in requirements]
    return {IMPORT_NAMES.get(name, name) for name in names}


def test_every_import_is_declared():
    known = declared_packages() | sys.stdlib_module_names | {"thalweg"}
    for file in python_files():
        for module, line in imported(ast.parse(file.read_text(encoding="utf-8"))):
            assert module.split(".")[0] in known, f"{file.relative_to(SOURCE)}:{line} imports {module}"


def test_importing_thalweg_loads_none_of_the_extras():
    """In a fresh interpreter, since this one has loaded what pytest's plugins need."""
    script = "import sys, thalweg; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    extras = declared_packages() - CORE
    assert extras >= {"typer", "rich", "plotly", "matplotlib", "jinja2", "sklearn"}
    assert not extras & set(run.stdout.split())
    assert not run.stderr


def test_importing_thalweg_has_no_side_effects():
    script = """if True:
        import os, random, warnings
        import numpy, scipy.stats, torch
        def state():
            return (
                dict(os.environ), random.getstate(),
                torch.get_rng_state().tolist(), numpy.random.get_state()[1].tolist(),
                torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled(),
                torch.backends.cuda.math_sdp_enabled(), torch.backends.cuda.flash_sdp_enabled(),
                torch.are_deterministic_algorithms_enabled(), list(warnings.filters),
            )
        before = state()
        import thalweg
        assert before == state()
    """
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert (run.stdout, run.stderr) == ("", "")
