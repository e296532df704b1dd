"""Find the user's landscape in the user's file."""

import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from thalweg.errors import TargetError, ThalwegError
from thalweg.landscape import Landscape

_OURS = Path(__file__).resolve().parents[1]


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
    return load_targets((target,), device)[0]


def load_targets(targets: Sequence[str], device: str | None = None) -> list[Landscape]:
    """Return several landscapes; a file that holds more than one of them runs once, so that they share their data.

    Args:
        targets: FILE.py:NAME each.
        device: Where the landscapes are to compute; ``None`` leaves them where they are.

    Raises:
        TargetError: As :func:`load_target`.
    """
    modules: dict[Path, ModuleType] = {}
    return [_load(target, device, modules) for target in targets]


def _load(target: str, device: str | None, modules: dict[Path, ModuleType]) -> Landscape:
    file, _, name = target.rpartition(":")
    if not file or not name:
        raise TargetError(f"target: expected FILE.py:NAME, got {target!r}.")
    path = Path(file)
    if not path.is_file():
        raise TargetError(f"target: expected an existing file, got {file!r}.")
    if path.resolve() not in modules:
        modules[path.resolve()] = _run(path)
    module = modules[path.resolve()]
    found = getattr(module, name, None)
    if found is None:
        public = [key for key in vars(module) if not key.startswith("_")]
        raise TargetError(f"target: expected a name in {file}, got {name!r}. It defines {', '.join(public) or 'none'}.")
    if callable(found) and not isinstance(found, Landscape) and _needs_nothing(found):
        found = _guarded(found, path, f"{name}()")
    if not isinstance(found, Landscape):
        raise TargetError(
            f"target: expected {name} to be a Landscape or a function without arguments that returns one, "
            f"got {type(found).__name__}."
        )
    return found if device is None else _moved(found, device)


def _needs_nothing(function: Callable[..., Any]) -> bool:
    try:
        inspect.signature(function).bind()
    except TypeError:
        return False
    except ValueError:
        # Some functions written in C do not say what they take.
        return True
    return True


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
        autocast=landscape.autocast,
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


def guarded(call: Callable[[], Any], target: str, what: str) -> Any:
    """Call something that runs the user's code, and tell its errors from our own.

    Raises:
        TargetError: If the user's code raises; the traceback of it is written to standard error.
    """
    return _guarded(call, Path(target.rpartition(":")[0]), what, ours=True)


def _guarded(call: Callable[[], Any], path: Path, what: str, *, ours: bool = False) -> Any:
    try:
        return call()
    except ThalwegError:
        raise
    except (Exception, SystemExit) as error:
        own = _own_frames(error, path)
        if ours and not own:
            raise
        sys.stderr.write("".join(["Traceback (most recent call last):\n"] * bool(own)) + "".join(own.format()))
        sys.stderr.write("".join(traceback.format_exception_only(error)))
        # A syntax error says itself where it is.
        where = f" ({own[-1].filename}, line {own[-1].lineno})" if own else ""
        raise TargetError(f"target: {what} raised {type(error).__name__}: {error}{where}.") from error


def _own_frames(error: BaseException, path: Path) -> traceback.StackSummary:
    """Keep the frames of the user's own folder: neither what led to it nor what it called."""
    folder = path.parent.resolve()
    frames = traceback.extract_tb(error.__traceback__)
    return traceback.StackSummary.from_list([frame for frame in frames if _is_own(frame.filename, folder)])


def _is_own(name: str, folder: Path) -> bool:
    file = Path(name).resolve()
    # Names such as "<string>" are no files, and a library may be installed below the user's folder.
    installed = "site-packages" in file.parts or file.is_relative_to(_OURS)
    return not name.startswith("<") and file.is_relative_to(folder) and not installed
