"""Find the user's landscape in the user's file."""

import importlib.util
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from thalweg.errors import TargetError, ThalwegError
from thalweg.landscape import Landscape


def load_target(target: str, device: str | None = None) -> Landscape:
    """Return the landscape that ``FILE.py:NAME`` names: a :class:`Landscape`, or what the function NAME returns.

    The file's own folder is importable while it runs. If it raises, the traceback of the user's own code is
    written to standard error, and the error that is raised here says where it came from.

    Args:
        target: FILE.py:NAME.
        device: Where the landscape is to compute; ``None`` leaves it where it is.

    Raises:
        TargetError: If the file or the name does not exist, the file raises, or NAME is something else.
    """
    file, _, name = target.rpartition(":")
    if not file or not name:
        raise TargetError(f"target: expected FILE.py:NAME, got {target!r}.")
    path = Path(file)
    if not path.is_file():
        raise TargetError(f"target: expected an existing file, got {file!r}.")
    module = _run(path)
    found = getattr(module, name, None)
    if found is None:
        public = [key for key in vars(module) if not key.startswith("_")]
        raise TargetError(f"target: expected a name in {file}, got {name!r}. It defines {', '.join(public) or 'none'}.")
    if callable(found) and not isinstance(found, Landscape):
        found = _guarded(found, path, f"{name}()")
    if not isinstance(found, Landscape):
        raise TargetError(
            f"target: expected {name} to be a Landscape or a function without arguments that returns one, "
            f"got {type(found).__name__}."
        )
    return found if device is None else _moved(found, device)


def _moved(landscape: Landscape, device: str) -> Landscape:
    chosen = set(landscape.layout.names)
    there = Landscape(
        landscape.model,
        landscape.objective,
        landscape.data,
        params=lambda name, _: name in chosen,
        mode=landscape.mode,
        microbatch=landscape.microbatch,
        device=device,
        dtype=landscape.space.dtype,
    )
    return there.at(landscape.theta.to(there.space.device), buffers=landscape.buffers)


def _run(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise TargetError(f"target: expected a Python file, got {str(path)!r}.")
    module, loader = importlib.util.module_from_spec(spec), spec.loader
    # Dataclasses and pickles of the file look their module up by name.
    sys.modules.setdefault(path.stem, module)
    sys.path.insert(0, str(path.parent.resolve()))
    try:
        _guarded(lambda: loader.exec_module(module), path, str(path))
    finally:
        sys.path.remove(str(path.parent.resolve()))
    return module


def _guarded(call: Callable[[], Any], path: Path, what: str) -> Any:
    try:
        return call()
    except ThalwegError:
        raise
    except (Exception, SystemExit) as error:
        sys.stderr.write("".join(traceback.format_exception(type(error), error, _own_frames(error, path))))
        last = traceback.extract_tb(_own_frames(error, path))
        line = f", line {last[-1].lineno}" if last else ""
        raise TargetError(f"target: {what} raised {type(error).__name__}: {error} ({path}{line}).") from error


def _own_frames(error: BaseException, path: Path) -> TracebackType | None:
    """Leave out the frames that led to the user's file."""
    frames = error.__traceback__
    while frames is not None and Path(frames.tb_frame.f_code.co_filename).name != path.name:
        frames = frames.tb_next
    return frames if frames is not None else error.__traceback__
