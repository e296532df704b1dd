"""A surface from some of its cells: cubic splines over nested grids, each correcting the one before it."""

import itertools

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RectBivariateSpline
from scipy.ndimage import maximum_filter, minimum_filter

Numbers = NDArray[np.float64]
Flags = NDArray[np.bool_]
Rectangle = tuple[slice, slice]

# Points along each axis of the first grid that carries a cubic spline with something to spare.
_FIRST = 5


class Hierarchy:
    """Nested grids over the cells of a surface, by halving the intervals of both axes.

    On the first grid all cells are known. On each following one a cell that is not known has the value that the
    spline over the grid before it has there; so the splines are local corrections of one another, and the surface
    passes through every known cell.

    Args:
        rows: Cells along the first axis.
        columns: Cells along the second.

    Attributes:
        levels: Row and column indices of each grid, the last holding all cells.
        level: The first grid that each cell is on, (rows, columns).
    """

    def __init__(self, rows: int, columns: int) -> None:
        down, across = _halved(rows), _halved(columns)
        depth = max(len(down), len(across))
        down, across = (axis + [axis[-1]] * (depth - len(axis)) for axis in (down, across))
        self.levels = list(zip(down, across, strict=True))
        self.shape = (rows, columns)
        self.level = np.full(self.shape, depth - 1)
        for number in range(depth - 1, -1, -1):
            self.level[np.ix_(*self.levels[number])] = number

    def interpolate(self, loss: Numbers, known: Flags) -> tuple[Numbers, Numbers]:
        """Return the surface, and by how much each known cell missed the spline over the grid before its own.

        Known cells that are not finite take part in no spline, and miss by nothing.
        """
        usable = known & np.isfinite(loss)
        surplus, surface = np.zeros(self.shape), np.zeros(self.shape)
        for number, axes in enumerate(self.levels):
            cells = np.ix_(*axes)
            if number == 0:
                values = _filled(loss[cells], usable[cells])
            else:
                new = usable & (self.level == number)
                surplus[new] = np.abs(loss - surface)[new]
                values = np.where(usable[cells], loss[cells], surface[cells])
            surface = _spline(axes, values, self.shape)
        return np.where(known, loss, surface), surplus

    def resolution(self, known: Flags) -> NDArray[np.int_]:
        """Return for each cell the finest grid with a rectangle around it whose corners are known."""
        found = np.zeros(self.shape, dtype=int)
        for number, axes in enumerate(self.levels):
            corner = known[np.ix_(*axes)]
            closed = corner[1:, 1:] & corner[1:, :-1] & corner[:-1, 1:] & corner[:-1, :-1]
            # A cell on a line of the grid belongs to the rectangles on both sides of it.
            down, across = (_intervals(axis, count) for axis, count in zip(axes, self.shape, strict=True))
            for rows, columns in itertools.product(down, across):
                found[closed[np.ix_(rows, columns)]] = number
        return found

    def errors(self, surplus: Numbers, known: Flags) -> Numbers:
        """Estimate what the surface misses in each cell: as much as known cells nearby missed before they were known.

        Nearby is as far as the distance of the grid before theirs, whose spline they corrected. It is what is left if a
        finer grid helps nothing; where the surface is smooth it helps sixteenfold, at a kink twofold.
        """
        resolution, found = self.resolution(known), np.zeros(self.shape)
        for number in range(1, len(self.levels)):
            reach = [int(np.diff(axis).max()) for axis in self.levels[number - 1]]
            own = np.where(self.level == number, surplus, 0.0)
            near = maximum_filter(own, size=[2 * each + 1 for each in reach], mode="constant")
            found = np.where(resolution <= number, np.maximum(found, near), found)
        return np.where(known, 0.0, found)

    def lowest(self, loss: Numbers, known: Flags) -> Numbers:
        """Return for each cell the smallest loss that is known as near as the corners of its rectangle."""
        usable = np.where(known & np.isfinite(loss), loss, np.inf)
        resolution, found = self.resolution(known), np.full(self.shape, np.inf)
        for number, axes in enumerate(self.levels):
            reach = [int(np.diff(axis).max()) for axis in axes]
            near = minimum_filter(usable, size=[2 * each + 1 for each in reach], mode="constant", cval=np.inf)
            found = np.where(resolution == number, near, found)
        return found

    def rectangles(self, number: int) -> list[Rectangle]:
        """Return the cells of every rectangle between neighbours on a grid, its border included."""
        down, across = self.levels[number]
        return [
            (slice(int(top), int(bottom) + 1), slice(int(left), int(right) + 1))
            for top, bottom in itertools.pairwise(down)
            for left, right in itertools.pairwise(across)
        ]


def _intervals(axis: NDArray[np.int_], count: int) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """The interval that each index from 0 to count − 1 lies in, from either side."""
    every = np.arange(count)
    after = np.searchsorted(axis, every, side="right") - 1
    before = np.searchsorted(axis, every, side="left") - 1
    return np.minimum(after, len(axis) - 2), np.maximum(before, 0)


def _halved(count: int) -> list[NDArray[np.int_]]:
    """Nested indices from 0 to count − 1, from the first grid to all."""
    grids = [[0, count - 1]]
    while len(grids[-1]) < count:
        middles = [(a + b) // 2 for a, b in itertools.pairwise(grids[-1])]
        grids.append(sorted({*grids[-1], *middles}))
    return [np.array(grid) for grid in grids if len(grid) >= min(_FIRST, count)]


def _spline(axes: tuple[NDArray[np.int_], NDArray[np.int_]], values: Numbers, shape: tuple[int, int]) -> Numbers:
    degrees = [min(3, len(axis) - 1) for axis in axes]
    spline = RectBivariateSpline(*axes, values, kx=degrees[0], ky=degrees[1], s=0)
    return np.asarray(spline(np.arange(shape[0]), np.arange(shape[1])))


def _filled(values: Numbers, usable: Flags) -> Numbers:
    """Give cells of the first grid that are not usable the value of the nearest that is, to carry a spline."""
    if usable.all() or not usable.any():
        return np.where(usable, values, 0.0)
    there = np.argwhere(usable)
    filled = values.copy()
    for place in np.argwhere(~usable):
        nearest = there[np.abs(there - place).sum(axis=1).argmin()]
        filled[tuple(place)] = values[tuple(nearest)]
    return filled
