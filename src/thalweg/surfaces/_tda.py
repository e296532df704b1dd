"""The package behind the extra ``tda``."""

import importlib
from typing import Any

from thalweg.errors import MissingExtraError


def load_gudhi(part: str = "gudhi") -> Any:
    """Import gudhi, or a part of it.

    Raises:
        MissingExtraError: If it is not installed.
    """
    try:
        return importlib.import_module(part)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "gudhi":
            raise
        raise MissingExtraError(
            'gudhi is not installed; persistence comes with the extra "tda": pip install "thalweg[tda]". '
            "Merge trees need no extra."
        ) from error
