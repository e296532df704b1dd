"""What the makers of curvature matrices must be given."""

from typing import Any

from thalweg.errors import ArgumentError
from thalweg.landscape import Landscape


def require_landscape(landscape: Any) -> None:
    """Refuse what is no landscape.

    Raises:
        ArgumentError: If it is something else.
    """
    if not isinstance(landscape, Landscape):
        raise ArgumentError(
            f"landscape: expected a Landscape, got {type(landscape).__name__}. Build one: "
            "Landscape(model, objective, data)."
        )
