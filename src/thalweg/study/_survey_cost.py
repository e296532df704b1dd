"""What a survey will take, said before it starts."""

from thalweg.estimate import Cost
from thalweg.landscape import Landscape
from thalweg.measures import measure_cost
from thalweg.measures._shared import seconds_of
from thalweg.study._survey import SurveySettings, is_visible

# Gradients that the climb to the sharpest point takes from all its starts, as trained classifiers have them.
_CLIMB = 60


def survey_cost(landscape: Landscape, settings: SurveySettings | None = None) -> Cost:
    """Say about what :func:`survey` would take with the same arguments, test data aside.

    How :func:`thalweg.measure_cost` counts products, and what the passes of line and surface, and the climb to the
    sharpest point, add to that. Seconds are those of one gradient, one pass and one product of each matrix, times their
    numbers.

    Cost: two gradients, one pass, and one product with each matrix.

    Args:
        landscape: Where.
        settings: As for :func:`survey`.

    Raises:
        NonFiniteError: If the loss or the gradient is not finite.

    Example:
        >>> import torch
        >>> import thalweg as tw
        >>> landscape = tw.Landscape(torch.nn.Linear(2, 1), tw.objectives.mse(), [(torch.eye(2), torch.ones(2, 1))])
        >>> survey_cost(landscape, SurveySettings(surface=15, line=41)).losses >= 15**2 + 41
        True
    """
    settings = SurveySettings() if settings is None else settings
    names = ["loss", "sums", "sharpness", *(("noise", "alignment", "difficulty") if is_visible(landscape) else ())]
    shared = measure_cost(landscape, names, settings=settings.of_measures())
    gradient, one = seconds_of(landscape.loss_and_gradient), seconds_of(landscape.loss)
    # A line alone needs no second dimension.
    losses = 2 + settings.line + (settings.surface**2 if landscape.size > 1 else 0)
    return shared + Cost(gradients=_CLIMB, losses=losses, seconds=_CLIMB * gradient + losses * one)
