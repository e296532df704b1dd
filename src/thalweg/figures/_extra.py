"""Optional packages, imported where they are needed and named where they are missing."""

import importlib
from typing import Any

from thalweg.errors import MissingExtraError


def load(module: str) -> Any:
    """Import a module that the extra ``report`` brings.

    Args:
        module: Dotted name, such as "plotly.graph_objects".

    Returns:
        The module.

    Raises:
        MissingExtraError: If its package is not installed.

    Example:
        >>> load("no_such_package.part")
        Traceback (most recent call last):
        ...
        thalweg.errors.MissingExtraError: no_such_package is not installed; it comes with the extra "report": ...
    """
    package = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != package:
            raise
        raise MissingExtraError(
            f'{package} is not installed; it comes with the extra "report": pip install "thalweg[report]".'
        ) from error
