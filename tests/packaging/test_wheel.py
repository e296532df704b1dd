"""A built wheel installs into a clean environment and works there with the core dependencies alone."""

import os
import re
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

# One worker builds the environment for all of them.
pytestmark = pytest.mark.xdist_group("wheel")

MEASUREMENT = """
import torch
import thalweg as tw

inputs = torch.tensor([[1.0, 0.0], [0.0, 3.0]], dtype=torch.float64)
model = torch.nn.Linear(2, 1, bias=False).double()
landscape = tw.Landscape(model, tw.objectives.mse(), [(inputs, torch.zeros(2, 1, dtype=torch.float64))])
# The loss is (w1² + 9 w2²)/2, so the Hessian is diag(1, 9).
torch.testing.assert_close(tw.hessian(landscape).dense(), torch.diag(torch.tensor([1.0, 9.0], dtype=torch.float64)))
pairs = tw.eigenpairs(tw.hessian(landscape), 1)
torch.testing.assert_close(pairs.values, torch.tensor([9.0], dtype=torch.float64))
print(tw.__version__)
"""


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run away from the repository, without what this process's environment says of Python."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory, repository) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    built = run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, repository, cwd=folder)
    assert built.returncode == 0, built.stdout + built.stderr
    (file,) = folder.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def clean(wheel, tmp_path_factory, repository) -> Path:
    """The folder of scripts of an environment that holds the wheel and what it requires."""
    root = tmp_path_factory.mktemp("clean") / "venv"
    venv.create(root, with_pip=True)
    scripts = root / ("Scripts" if os.name == "nt" else "bin")
    installed = run(
        scripts / "python", "-m", "pip", "install", "-qq", "-c", repository / "constraints.txt", wheel, cwd=root
    )
    assert installed.returncode == 0, installed.stdout + installed.stderr
    return scripts


def test_the_wheel_holds_the_package_and_nothing_else(wheel, repository):
    source = repository / "src" / "thalweg"
    expected = {
        f"thalweg/{file.relative_to(source).as_posix()}"
        for file in source.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        licences = [name for name in archive.namelist() if name.endswith("licenses/LICENSE")]
    assert names == expected
    assert "thalweg/py.typed" in names
    assert any(name.startswith("thalweg/report/") and name.endswith(".html") for name in names)
    assert len(licences) == 1


def test_the_core_alone_measures(clean, tmp_path, repository):
    measured = run(clean / "python", "-W", "error", "-c", MEASUREMENT, cwd=tmp_path)
    assert measured.returncode == 0, measured.stderr
    version: dict[str, str] = {}
    exec((repository / "src" / "thalweg" / "_version.py").read_text(encoding="utf-8"), version)
    assert measured.stdout.strip() == version["__version__"]


@pytest.mark.parametrize("module", ["typer", "rich", "plotly", "matplotlib", "sklearn", "pandas"])
def test_no_extra_is_there(clean, tmp_path, module):
    """Otherwise the other tests here would prove nothing. (torch itself brings jinja2.)"""
    found = run(clean / "python", "-c", f"import {module}", cwd=tmp_path)
    assert "ModuleNotFoundError" in found.stderr


def test_the_script_names_the_extra_that_is_missing(clean, tmp_path):
    said = run(clean / "thalweg", "demo", cwd=tmp_path)
    assert said.returncode == 2
    assert said.stdout == ""
    (line,) = said.stderr.splitlines()
    assert re.search(r"pip install 'thalweg\[(cli|all)\]'", line), line
    assert not list(tmp_path.iterdir())


def test_the_core_is_what_the_readme_promises(repository):
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {requirement.partition(">=")[0] for requirement in project["dependencies"]}
    assert names == {"torch", "numpy", "scipy", "safetensors", "jaxtyping"}
