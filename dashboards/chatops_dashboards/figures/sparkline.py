"""A spark line as SVG: no axes, a gap where there is no reading. Used as a mask, so it takes the theme's colour."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from urllib.parse import quote

WIDTH, HEIGHT = 200.0, 40.0
GAP_S = 60.0
GAP_STEPS = 2.5


def spark_runs(
    points: Iterable[tuple[float, float | None]], now: float, window_s: float, top: float = 100.0
) -> list[list[tuple[float, float]]]:
    """Runs of connected points in the picture's coordinates: right edge is `now`, bottom is zero, top is `top`."""
    runs: list[list[tuple[float, float]]] = []
    last = float("-inf")
    shown = [(time, value) for time, value in points if value is not None and time >= now - window_s]
    gap = longest_step(shown)
    for time, value in shown:
        if time - last > gap or not runs:
            runs.append([])
        x = (1 - (now - time) / window_s) * WIDTH
        y = HEIGHT - 1.5 - min(max(value / top, 0.0), 1.0) * (HEIGHT - 3)
        runs[-1].append((round(min(x, WIDTH), 1), round(y, 1)))
        last = time
    return runs


def longest_step(points: Sequence[tuple[float, float]]) -> float:
    """Readings further apart than this are not connected; an agent that reports each minute has steps of a minute."""
    steps = sorted(after[0] - before[0] for before, after in pairwise(points))
    return max(GAP_S, GAP_STEPS * steps[len(steps) // 2]) if steps else GAP_S


def spark_mask(points: Iterable[tuple[float, float | None]], now: float, window_s: float) -> str | None:
    """The spark line as a CSS image, or None when there is nothing to draw."""
    shapes = []
    for run in spark_runs(points, now, window_s):
        if len(run) == 1:
            run = [(run[0][0] - 1, run[0][1]), run[0]]
        line = " ".join(f"{x:g},{y:g}" for x, y in run)
        shapes.append(
            f"<polygon points='{run[0][0]:g},{HEIGHT:g} {line} {run[-1][0]:g},{HEIGHT:g}' fill-opacity='.16'/>"
            f"<polyline points='{line}' fill='none' stroke='#000' stroke-width='1.5' stroke-linejoin='round' "
            "vector-effect='non-scaling-stroke'/>"
        )
    if not shapes:
        return None
    svg = (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH:g} {HEIGHT:g}' preserveAspectRatio='none'>"
        f"{''.join(shapes)}</svg>"
    )
    image = quote(svg, safe=" =/:'")
    return f'url("data:image/svg+xml,{image}")'
