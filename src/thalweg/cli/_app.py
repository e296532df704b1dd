"""The commands and their options."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from thalweg._version import __version__
from thalweg.cli._measure import announce, measure_quantities
from thalweg.cli._path import run_path
from thalweg.cli._picture import Figure, require_figure
from thalweg.cli._spectrum import run_spectrum
from thalweg.cli._summary import print_summary
from thalweg.cli._surface import run_surface
from thalweg.cli._target import guarded, load_target
from thalweg.cli._terminal import Checkpoint, Device, Json, Seed, Target, Top, checked_device, notes, say
from thalweg.errors import ArgumentError, ThalwegError
from thalweg.estimate import versions
from thalweg.measures import MeasureSettings
from thalweg.measures._measure import chosen
from thalweg.measures._quantities import QUANTITIES
from thalweg.report import write_report
from thalweg.report._store import to_json
from thalweg.report._write import require_replaceable
from thalweg.study import DemoSettings, Findings, SurveySettings, demo, survey, survey_cost

app = typer.Typer(
    name="thalweg",
    help="Measure the geometry of a neural network's loss landscape.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Out = Annotated[Path, typer.Option(help="Folder of the report; it is written only when all of it is ready.")]
Probes = Annotated[int, typer.Option(min=1, help="Random probes of the spectral density.")]


def run() -> None:
    """Run the application; what Thalweg refuses becomes one line and exit code 2."""
    try:
        code = app(standalone_mode=False)
    except typer.Abort:
        code = 130
    except ThalwegError as error:
        say(str(error))
        code = 2
    except Exception as error:
        # The parser's own errors; typer keeps their class to itself.
        explain = getattr(error, "format_message", None)
        if explain is None:
            raise
        # Without a command the help has been shown, and there is nothing more to say.
        if explain():
            say(explain())
        code = 2
    if code == 130:
        say("interrupted; nothing was written")
    if isinstance(code, int) and code:
        sys.exit(code)


@app.callback(invoke_without_command=True)
def root(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Measure the geometry of a neural network's loss landscape."""
    if version:
        typer.echo(__version__)
        raise typer.Exit


@app.command("demo")
def run_demo(
    out: Out = Path("thalweg-demo"),
    seed: Seed = 0,
    device: Device = None,
    top: Top = 20,
    probes: Probes = 4,
    data: Annotated[str, typer.Option(help="digits, mnist, fashion-mnist or cifar-10.")] = "digits",
    data_root: Annotated[
        Path | None, typer.Option(help="Folder of the data sets; by default the environment variable THALWEG_DATA.")
    ] = None,
    samples: Annotated[int, typer.Option(min=1, help="Training items to use.")] = 600,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over them.")] = 20,
    width: Annotated[float, typer.Option(help="Width multiplier of both architectures.")] = 0.125,
    as_json: Json = False,
) -> None:
    """Train two architectures from two seeds each, measure all four, and write a report."""
    require_replaceable(out.absolute())
    settings = DemoSettings(
        data=data,
        data_root=None if data_root is None else str(data_root),
        samples=samples,
        width=width,
        epochs=epochs,
        seed=seed,
        device=checked_device(device) or "cpu",
    )
    with notes():
        findings = demo(settings, SurveySettings(top=top, probes=probes, seed=seed), progress=True)
    _finish(findings, out, as_json)


@app.command("measure")
def run_measure(
    target: Target,
    which: Annotated[
        str | None,
        typer.Option(
            help=f"Print these quantities, separated by commas, and write no report: {', '.join(QUANTITIES)}; or all."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the report, written only when all of it is ready.  [default: thalweg-report]"),
    ] = None,
    figure: Figure = None,
    seed: Seed = 0,
    device: Device = None,
    top: Top = 20,
    probes: Annotated[
        int | None,
        typer.Option(min=2, help="Random probes between the spectrum's ends: 4 by default, 8 with --which."),
    ] = None,
    checkpoint: Checkpoint = None,
    as_json: Json = False,
) -> None:
    """Measure a landscape of your own and write a report, or print some quantities.

    What it will take is said before it starts.
    """
    names = _asked(which, out, figure)
    folder = Path("thalweg-report") if out is None else out
    if names is None:
        require_replaceable(folder.absolute())
    place = checked_device(device)
    with notes():
        landscape = load_target(target, place)
    if top > landscape.size and top != 20:
        raise ArgumentError(f"top: expected at most the number of parameters {landscape.size}, got {top}.")
    top, name = min(top, landscape.size), target.rpartition(":")[2]
    if names is not None:
        chosen_settings = MeasureSettings(top=top, probes=8 if probes is None else probes, seed=seed)
        with notes():
            measure_quantities(
                landscape, names, target, chosen_settings, checkpoint=checkpoint, figure=figure, as_json=as_json
            )
        return
    settings = SurveySettings(top=top, probes=4 if probes is None else probes, seed=seed)
    with notes():
        announce(f"the report on {name}", lambda: survey_cost(landscape, settings), target)
        found = guarded(
            lambda: survey(landscape, settings, name=name, checkpoint=checkpoint, progress=True),
            target,
            f"measuring {name}",
        )
    findings = Findings(
        title=f"Loss landscape of {name}",
        measurements=(found,),
        configuration={
            "target": target,
            "objective": landscape.objective.name,
            "mode": landscape.mode,
            "samples": landscape.count,
            **{f"measure.{key}": value for key, value in vars(settings).items()},
        },
        versions=versions(),
        seconds=found.cost.seconds,
    )
    _finish(findings, folder, as_json)


app.command("spectrum")(run_spectrum)
app.command("surface")(run_surface)
app.command("path")(run_path)


def _asked(which: str | None, out: Path | None, figure: Path | None) -> list[str] | None:
    """Return the quantities to print, ``None`` for a report."""
    require_figure(figure)
    if which is None:
        if figure is not None:
            raise ArgumentError("figure: expected --which beside it, since the report has figures of its own.")
        return None
    if out is not None:
        raise ArgumentError(f"out: expected none with --which, which prints a table and writes no report, got {out}.")
    return chosen(None if which.strip() == "all" else [name.strip() for name in which.split(",")])


def _finish(findings: Findings, out: Path, as_json: bool) -> None:
    try:
        page = write_report(findings, out)
    except OSError as error:
        raise ArgumentError(f"out: could not write the report to {out} ({error}).") from error
    if as_json:
        typer.echo(to_json(findings), nl=False)
    else:
        print_summary(findings)
    say(f"report written to {page}", error=False)
