"""The command line: a thin skin over the library, one command a call."""

import importlib.util
import sys

__all__ = ["main"]


def main() -> None:
    """Run ``thalweg``; without the extra ``cli`` say how to install it and exit with 2."""
    missing = [name for name in ("typer", "rich") if importlib.util.find_spec(name) is None]
    if missing:
        print(  # noqa: T201 - there is nothing else to print with
            f"thalweg: the command line needs {' and '.join(missing)}: pip install 'thalweg[all]'", file=sys.stderr
        )
        sys.exit(2)
    from thalweg.cli._app import run

    run()
