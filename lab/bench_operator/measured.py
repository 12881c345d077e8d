"""An operator that measures itself: how long its event loop stands, and what its decisions take.

It is the operator as it is, with two watches around it. They write one line of JSON per second into a file.
"""

from __future__ import annotations

import asyncio
import functools
import json
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from smbferry_operator.main import main as operate
from smbferry_operator.reconcile.reconciler import Reconciler
from smbferry_operator.service import Service

if TYPE_CHECKING:
    from pathlib import Path

BEAT, LINE = 0.02, 1.0


@dataclass
class Second:
    """What was seen in a second; all times in milliseconds."""

    leading: bool = False
    stood: float = 0.0
    """The longest time for which the event loop ran nothing but one thing."""
    worked: float = 0.0
    """The most processor time of the event loop's thread between two beats: what it stands without waiting for one."""
    decisions: list[float] = field(default_factory=list)


class Watch:
    """Watches one operator. Everything happens on its event loop."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._second = Second()

    def install(self) -> None:
        """Puts the watches around what is measured."""
        decide, start = Reconciler._decide, Service.start  # noqa: SLF001 - what is measured has no other door

        @functools.wraps(decide)
        def timed(*arguments: Any) -> Any:
            began = time.perf_counter()
            try:
                return decide(*arguments)
            finally:
                self._second.decisions.append(round(1000 * (time.perf_counter() - began), 2))

        @functools.wraps(start)
        async def started(service: Service) -> None:
            await start(service)
            self._beating = asyncio.create_task(self._beat(service))

        Reconciler._decide = timed  # type: ignore[assignment,method-assign]  # noqa: SLF001
        Service.start = started  # type: ignore[assignment,method-assign]

    async def _beat(self, service: Service) -> None:
        line_at = time.perf_counter() + LINE
        with open(self._file, "a", encoding="utf-8") as out:  # noqa: PTH123 - a line takes microseconds
            while True:
                wall, worked = time.perf_counter(), time.thread_time()
                await asyncio.sleep(BEAT)
                now = time.perf_counter()
                second, spent = self._second, time.thread_time() - worked
                second.stood = max(second.stood, round(1000 * (now - wall - BEAT), 1))
                second.worked = max(second.worked, round(1000 * spent, 1))
                if now >= line_at:
                    self._second.leading = bool(service.health.ready().facts["leading"])
                    out.write(json.dumps(asdict(self._second)) + "\n")
                    out.flush()
                    self._second, line_at = Second(), now + LINE


def read(file: Path) -> list[Second]:
    """What an operator has written so far."""
    return [Second(**json.loads(line)) for line in file.read_text().splitlines()]


def program(root: Path, file: Path) -> str:
    """The Python program of such an operator."""
    return (
        f"import sys; sys.path.insert(0, {str(root)!r}); "
        f"from lab.bench_operator.measured import run; raise SystemExit(run({str(file)!r}))"
    )


def run(file: str) -> int:
    """Runs until SIGTERM; returns the exit code."""
    Watch(file).install()
    return operate([])
