"""Outline of a mask as SVG path data: closed loops along pixel edges, holes included."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

Corner = tuple[int, int]


def outline_path(mask: NDArray[np.bool_]) -> str:
    """Path data of the edges between mask and background, in pixels from the top left corner; empty for no pixel."""
    return "".join(_loop_path(loop) for loop in _loops(_edges(mask)))


def _edges(mask: NDArray[np.bool_]) -> dict[Corner, list[Corner]]:
    """Directed unit edges (x, y) -> (x, y) around the mask, the mask always on the right hand."""
    padded = np.pad(mask, 1)
    edges: dict[Corner, list[Corner]] = defaultdict(list)
    here = padded[1:-1, 1:-1]
    rows_cols = (
        (here & ~padded[:-2, 1:-1], (0, 0), (1, 0)),  # above: to the right
        (here & ~padded[1:-1, 2:], (1, 0), (1, 1)),  # right: down
        (here & ~padded[2:, 1:-1], (1, 1), (0, 1)),  # below: to the left
        (here & ~padded[1:-1, :-2], (0, 1), (0, 0)),  # left: up
    )
    for border, begin, end in rows_cols:
        for y, x in np.argwhere(border).tolist():
            edges[(x + begin[0], y + begin[1])].append((x + end[0], y + end[1]))
    return edges


def _loops(edges: dict[Corner, list[Corner]]) -> list[list[Corner]]:
    """Closed loops in reading order of their first corner; where two loops touch at a corner they stay apart."""
    loops = []
    for start in sorted(edges, key=lambda corner: (corner[1], corner[0])):
        while edges[start]:
            loop = [start]
            at = edges[start].pop(0)
            while at != start:
                ways = edges[at]
                # Where four pixels meet crosswise, turn right: pixels that touch by a corner stay separate loops.
                way = ways[0] if len(ways) == 1 else _right_turn(loop[-1], at, ways)
                ways.remove(way)
                loop.append(at)
                at = way
            loops.append(loop)
    return loops


def _right_turn(before: Corner, at: Corner, ways: list[Corner]) -> Corner:
    dx, dy = at[0] - before[0], at[1] - before[1]
    wanted = (at[0] - dy, at[1] + dx)
    return wanted if wanted in ways else ways[0]


def _loop_path(loop: list[Corner]) -> str:
    """Path data of one loop with only its corners."""
    corners = [
        here
        for before, here, after in zip([loop[-1], *loop[:-1]], loop, [*loop[1:], loop[0]], strict=True)
        if (before[0] == here[0]) != (here[0] == after[0])
    ]
    (x, y), pieces = corners[0], []
    pieces.append(f"M{x} {y}")
    for next_x, next_y in corners[1:]:
        pieces.append(f"h{next_x - x}" if next_y == y else f"v{next_y - y}")
        x, y = next_x, next_y
    return "".join(pieces) + "z"
