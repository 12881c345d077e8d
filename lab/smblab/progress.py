"""Shows the current step, its duration, and the remaining time estimated from earlier runs."""

from __future__ import annotations

import json
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Seconds on a machine with two cores, for a first run that has no measurement of its own yet.
DEFAULTS = {
    "docker-install": 40.0,
    "docker-start": 4.0,
    "pull": 30.0,
    "base": 20.0,
    "image-dc": 60.0,
    "image-go": 30.0,
    "image-tools": 150.0,
    "image-agent": 120.0,
    "image-operator": 90.0,
    "domain": 15.0,
    "kubernetes": 480.0,
    "kind": 45.0,
    "coredns": 90.0,
    "helm": 75.0,
    "rclone": 180.0,
    "kubeconform": 15.0,
    "kube-score": 60.0,
    "checkov": 60.0,
    "checks": 60.0,
    "image-node": 150.0,
    "cluster": 40.0,
    "load": 20.0,
    "demo-lab-new": 960.0,
    "demo-lab-built": 60.0,
    "demo-lab-up": 3.0,
    "demo-images-new": 270.0,
    "demo-images-built": 20.0,
    "demo-images-up": 5.0,
    "demo-seed": 5.0,
    "demo-install": 5.0,
    "demo-apply": 12.0,
    "demo-transfer": 10.0,
    "demo-compare": 2.0,
    "demo-kvno": 75.0,
}
TICK_SECONDS = 10.0
WORTH_A_TICK = 15.0


def left(expected: float | None, elapsed: float) -> str:
    """Returns the remaining time in words."""
    if expected is None:
        return "time unknown"
    remaining = expected - elapsed
    if remaining <= 0:
        return f"longer than the {seconds(expected)} expected"
    return f"about {seconds(remaining)} left"


def seconds(value: float) -> str:
    """A duration for people: `8 s`, `2 min 05 s`."""
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def learn(before: float | None, now: float) -> float:
    """The next estimate: mostly the latest run, steadied by the ones before."""
    return now if before is None else 0.7 * now + 0.3 * before


class Progress:
    """Prints steps to stderr and remembers their durations in `store` (JSON: step name → seconds)."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self._began = time.monotonic()

    def say(self, message: str) -> None:
        """One plain line."""
        print(message, file=sys.stderr, flush=True)

    @contextmanager
    def step(self, key: str, what: str) -> Iterator[None]:
        """Announce a slow step, tick while it runs, tell how long it took; remember that when it succeeded."""
        expected = self.expected(key)
        began = time.monotonic()
        self.say(f"  … {what} ({left(expected, 0)})")
        stop = threading.Event()

        def tick() -> None:
            while not stop.wait(TICK_SECONDS):
                elapsed = time.monotonic() - began
                if elapsed >= WORTH_A_TICK:
                    self.say(f"    {what}: {seconds(elapsed)}, {left(expected, elapsed)}")

        ticker = threading.Thread(target=tick, daemon=True)
        ticker.start()
        try:
            yield
        except BaseException:
            self.say(f"  ✗ {what}: failed after {seconds(time.monotonic() - began)}")
            raise
        finally:
            stop.set()
            ticker.join()
        elapsed = time.monotonic() - began
        self._remember(key, elapsed)
        self.say(f"  ✓ {what}: {seconds(elapsed)}")

    def knows(self, key: str) -> bool:
        """Whether the step has been taken on this machine."""
        return key in self.known()

    def expected(self, *keys: str) -> float | None:
        """The seconds of all these steps, from earlier runs or from DEFAULTS; None where one has neither."""
        estimates = DEFAULTS | self.known()
        return sum(estimates[key] for key in keys) if all(key in estimates for key in keys) else None

    def known(self) -> dict[str, float]:
        """Durations of earlier runs; empty where there is no readable store (it only feeds estimates)."""
        try:
            found = json.loads(self._store.read_text())
        except (OSError, ValueError):
            return {}
        if not isinstance(found, dict):
            return {}
        return {str(key): float(value) for key, value in found.items() if isinstance(value, int | float)}

    def _remember(self, key: str, elapsed: float) -> None:
        known = self.known()
        known[key] = round(learn(known.get(key), elapsed), 1)
        self._store.parent.mkdir(parents=True, exist_ok=True)
        self._store.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
