"""Small charts as inline SVG with a descriptive title. Pure."""

import html
from collections.abc import Callable, Sequence

_WIDTH, _HEIGHT = 720, 200
_LEFT, _BOTTOM, _TOP = 120, 24, 12  # space on the left for labels in the larger font of phones


def line(
    points: Sequence[tuple[float, float]],
    title: str,
    value: Callable[[float], str],
    moment: Callable[[float], str],
) -> str:
    """Draws a line through points (seconds, value); ``value`` and ``moment`` format the axis labels."""
    top = max(y for _, y in points) or 1.0
    first, last = points[0][0], points[-1][0]
    span = (last - first) or 1.0

    def x(seconds: float) -> float:
        return _LEFT + (seconds - first) / span * (_WIDTH - _LEFT - 8)

    def y(amount: float) -> float:
        return _HEIGHT - _BOTTOM - amount / top * (_HEIGHT - _BOTTOM - _TOP)

    path = " ".join(f"{x(s):.1f},{y(v):.1f}" for s, v in points)
    grid = "".join(
        f'<line class="axis" x1="{_LEFT}" x2="{_WIDTH - 8}" y1="{y(top * part):.1f}" y2="{y(top * part):.1f}"/>'
        f'<text x="{_LEFT - 6}" y="{y(top * part) + 4:.1f}" text-anchor="end">{html.escape(value(top * part))}</text>'
        for part in (0, 0.5, 1)
    )
    times = "".join(
        f'<text x="{x(at):.1f}" y="{_HEIGHT - 6}" text-anchor="{anchor}">{html.escape(moment(at))}</text>'
        for at, anchor in ((first, "start"), (last, "end"))
    )
    return _svg(title, _HEIGHT, f'{grid}<polyline class="mark" points="{path}"/>{times}')


def bars(named: Sequence[tuple[str, int]], title: str) -> str:
    """Draws a horizontal bar for each name, followed by its count."""
    row, most = 24, max(amount for _, amount in named) or 1
    room = _WIDTH - _LEFT - 80
    drawn = "".join(
        f'<text x="{_LEFT - 6}" y="{index * row + 16}" text-anchor="end">{html.escape(name)}</text>'
        f'<rect class="bar" x="{_LEFT}" y="{index * row + 4}" width="{amount / most * room:.1f}" height="{row - 8}"/>'
        f'<text x="{_LEFT + amount / most * room + 6:.1f}" y="{index * row + 16}">{amount:,}</text>'
        for index, (name, amount) in enumerate(named)
    )
    return _svg(title, row * len(named), drawn)


def _svg(title: str, height: int, content: str) -> str:
    said = html.escape(title)
    return (
        f'<svg role="img" aria-label="{said}" viewBox="0 0 {_WIDTH} {height}" '
        f'xmlns="http://www.w3.org/2000/svg"><title>{said}</title>{content}</svg>'
    )
