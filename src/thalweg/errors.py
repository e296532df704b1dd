"""Everything that Thalweg raises or warns with.

::

    ThalwegError
    ├── ArgumentError            an argument has a wrong value, shape, dtype or device (a ValueError)
    ├── DataError                the data are empty, can be read only once, or have another shape than expected
    ├── ObjectiveError           the objective does not fit the batch, the model or the question
    ├── DeterminismError         two passes over the same data disagree
    ├── NonFiniteError           a loss, gradient or product is infinite or not a number
    ├── DifferentiationError     an operation of the model has no derivative of the kind that is asked for
    ├── MemoryBudgetError        the work would not fit
    ├── MissingExtraError        an optional dependency is not installed (an ImportError)
    └── TargetError              a file that the command line was given cannot be used

    ThalwegWarning (a UserWarning)
    ├── UnreachedParameterWarning
    ├── ConvergenceWarning
    └── MemoryBudgetWarning
"""


class ThalwegError(Exception):
    """The base of every error that Thalweg raises on purpose."""


class ArgumentError(ThalwegError, ValueError):
    """An argument has a wrong value, shape, dtype or device."""


class DataError(ThalwegError):
    """The data cannot be used as they are."""


class ObjectiveError(ThalwegError):
    """The objective does not fit the batch, the model or the question."""


class DeterminismError(ThalwegError):
    """Two passes over the same data gave different numbers."""


class NonFiniteError(ThalwegError):
    """A loss, gradient or product is infinite or not a number."""


class DifferentiationError(ThalwegError):
    """An operation of the model has no derivative of the kind that is asked for."""


class MemoryBudgetError(ThalwegError):
    """The work would not fit into the memory that it may use."""


class MissingExtraError(ThalwegError, ImportError):
    """An optional dependency is not installed."""


class TargetError(ThalwegError):
    """A file that the command line was given cannot be used."""


class ThalwegWarning(UserWarning):
    """The base of every warning that Thalweg gives on purpose."""


class UnreachedParameterWarning(ThalwegWarning):
    """Some parameters do not influence the loss; they count as directions of zero curvature."""


class ConvergenceWarning(ThalwegWarning):
    """An iteration stopped before its residuals were small enough."""


class MemoryBudgetWarning(ThalwegWarning):
    """Memory ran out, and the work goes on in smaller pieces."""
