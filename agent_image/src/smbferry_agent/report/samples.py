"""Progress over time: a limited number of points for a chart of the throughput."""

from dataclasses import dataclass, field
from typing import Final

MAX_SAMPLES: Final = 240


@dataclass(slots=True)
class Samples:
    """Points of (seconds since the start, bytes transferred, files transferred), thinned out evenly."""

    points: list[tuple[float, int, int]] = field(default_factory=list)
    _step: float = 0.0

    def add(self, seconds: float, octets: int, files: int) -> None:
        """Adds a point, unless it is too close to the last one."""
        if self.points and seconds - self.points[-1][0] < self._step:
            return
        self.points.append((round(seconds, 1), octets, files))
        if len(self.points) > MAX_SAMPLES:
            self.points = self.points[::2]
            self._step = 2 * seconds / MAX_SAMPLES
