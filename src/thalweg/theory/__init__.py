"""Laws: what theory says of landscapes, as plain functions of numbers."""

from thalweg.theory._connectivity import (
    connection_level,
    connection_probability,
    rise_moment,
    rise_survival,
)

__all__ = ["connection_level", "connection_probability", "rise_moment", "rise_survival"]
