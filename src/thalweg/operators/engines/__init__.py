"""Ways of computing products with curvature matrices."""

from thalweg.operators.engines._choice import Choice, choose
from thalweg.operators.engines._double_backward import DoubleBackward
from thalweg.operators.engines._engine import Engine
from thalweg.operators.engines._finite_differences import FiniteDifferences
from thalweg.operators.engines._forward_over_reverse import ForwardOverReverse
from thalweg.operators.engines._plan import MemoryPlan, cuttable, first_batch, halved, plan

__all__ = [
    "Choice",
    "DoubleBackward",
    "Engine",
    "FiniteDifferences",
    "ForwardOverReverse",
    "MemoryPlan",
    "choose",
    "cuttable",
    "first_batch",
    "halved",
    "plan",
]
