"""Where the files of a data set are looked for."""

import os
from collections.abc import Sequence
from pathlib import Path

from thalweg.errors import DataError

ENVIRONMENT_VARIABLE = "THALWEG_DATA"


def folders(name: str, root: str | Path | None, inside: Sequence[str], foreign: Sequence[str] = ()) -> list[Path]:
    """List the folders that may hold a data set, most specific first, the root itself last.

    Args:
        name: Of the data set, for messages.
        root: Folder given by the caller; ``None`` means the environment variable THALWEG_DATA.
        inside: Places below the root.
        foreign: Names of folders that hold another data set with the same file names, so that a root of
            such a name is not mistaken for this one.

    Raises:
        DataError: If no root is given, or it is no folder.
    """
    if root is None:
        root = os.environ.get(ENVIRONMENT_VARIABLE) or None
        source = f"the environment variable {ENVIRONMENT_VARIABLE}"
    else:
        source = "root"
    if root is None:
        raise DataError(f"{name}: expected a folder with its files, got none. {_advice()}")
    base = Path(root).expanduser()
    if not base.is_dir():
        raise DataError(f"{name}: expected {source} to name a folder, got {str(base)!r}, which is none. {_advice()}")
    places = [base / place for place in inside]
    mistaken = {base.resolve().name, base.resolve().parent.name if base.name == "raw" else ""} & set(foreign)
    return [place for place in places if place.is_dir()] + ([] if mistaken else [base])


def not_found(name: str, wanted: str, looked: Sequence[Path]) -> DataError:
    """Return the error that says where the files were looked for."""
    places = ", ".join(str(place) for place in looked) or "no folder"
    return DataError(f"{name}: expected {wanted}, not found in {places}. {_advice()}")


def _advice() -> str:
    return f"Set the folder with --data-root, the argument root, or the environment variable {ENVIRONMENT_VARIABLE}."
