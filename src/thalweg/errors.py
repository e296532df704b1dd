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
    ├── CheckpointError          a checkpoint is damaged, or of another run
    ├── MissingExtraError        an optional dependency is not installed (an ImportError)
    └── TargetError              a file that the command line was given cannot be used

    ThalwegWarning (a UserWarning)
    ├── UnreachedParameterWarning
    ├── DependentItemsWarning
    ├── CheckpointWarning
    ├── ConvergenceWarning
    └── MemoryBudgetWarning

    Interrupted (a KeyboardInterrupt, and no ThalwegError): what had been found until then is its ``result``
"""


class Interrupted(KeyboardInterrupt):
    """The work was interrupted; what had been found until then is not lost.

    Like every ``KeyboardInterrupt`` it ends the program unless somebody catches it.

    Attributes:
        result: What the function would have returned if its budget had ended here; in an interactive session
            ``sys.last_value.result``.
    """

    def __init__(self, message: str, result: object) -> None:
        super().__init__(message)
        self.result = result


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


class CheckpointError(ThalwegError):
    """A checkpoint is damaged, or belongs to another run."""


class MissingExtraError(ThalwegError, ImportError):
    """An optional dependency is not installed."""


class TargetError(ThalwegError):
    """A file that the command line was given cannot be used."""


class ThalwegWarning(UserWarning):
    """The base of every warning that Thalweg gives on purpose."""


class UnreachedParameterWarning(ThalwegWarning):
    """Some parameters do not influence the loss; they count as directions of zero curvature."""


class DependentItemsWarning(ThalwegWarning):
    """Data items act on one another through batch norm in train mode: none has a gradient of its own."""


class CheckpointWarning(ThalwegWarning):
    """A part of a checkpoint belongs to another run, and is not used."""


class ConvergenceWarning(ThalwegWarning):
    """An iteration stopped before its residuals were small enough."""


class MemoryBudgetWarning(ThalwegWarning):
    """Memory ran out, and the work goes on in smaller pieces."""
