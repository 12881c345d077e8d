"""Figures against what is wanted, how they are gathered, and where they are written to."""

from __future__ import annotations

import json
import sys
import time
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.support.cluster.process import Operator

REPO = Path(__file__).resolve().parents[2]
RECORD = REPO / "build" / "bench" / "operator.json"
PAGE = REPO / "docs" / "performance.md"
BEGIN, END = "<!-- bench-operator: begin (written by `make bench-operator`) -->\n", "<!-- bench-operator: end -->\n"
MIB = 1 << 20


@dataclass(frozen=True)
class Figure:
    """One measured figure against what is wanted: found at most `wanted`."""

    title: str
    unit: str
    wanted: float
    found: float

    @property
    def reached(self) -> bool:
        """Whether it is good enough."""
        return self.found <= self.wanted


class Figures:
    """The figures of all parts, in order."""

    def __init__(self) -> None:
        self.found: list[Figure] = []

    def add(self, title: str, unit: str, wanted: float, found: float) -> None:
        """Adds a figure, and says it."""
        self.found.append(Figure(title, unit, wanted, round(found, 2)))
        say(f"  {title}: {found:.2f} {unit} (at most {wanted:g} wanted)")

    @property
    def reached(self) -> bool:
        """Whether there are figures, and all of them are good enough."""
        return bool(self.found) and all(figure.reached for figure in self.found)

    def write(self, about: str, *, whole: bool) -> None:
        """Writes the record and, after a whole run, the table in the documentation."""
        RECORD.parent.mkdir(parents=True, exist_ok=True)
        rows = [{**asdict(figure), "reached": figure.reached} for figure in self.found]
        RECORD.write_text(json.dumps({"version": 2, "about": about, "whole": whole, "figures": rows}, indent=2) + "\n")
        if whole:  # a trial leaves the page as it is
            PAGE.write_text(page(PAGE.read_text(), self.found, about))


def page(text: str, figures: list[Figure], about: str) -> str:
    """The documentation's page with the figures between its markers.

    Raises:
        ValueError: the page has no such markers.
    """
    lines = [f"{about}\n", "| figure | wanted | found |", "|---|---|---|"]
    lines += [f"| {f.title} | at most {f.wanted:g} {f.unit} | {f.found:g} {f.unit} |" for f in figures]
    begin, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    return text[:begin] + "\n" + "\n".join(lines) + "\n\n" + text[end:]


def say(text: str) -> None:
    """Progress, for the person who waits."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")


def wait(what: str, holds: Callable[[], bool], seconds: float, every: float = 0.5) -> float:
    """Seconds until it holds.

    Raises:
        TimeoutError: it did not within the time.
    """
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > seconds:
            raise TimeoutError(f"{what}: not within {seconds:.0f} s")
        time.sleep(every)
    return time.monotonic() - began


def metrics(text: str) -> dict[str, float]:
    """Sums over all series of each metric."""
    sums: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            sums[sample.name] = sums.get(sample.name, 0.0) + sample.value
    return sums


def figures_of(running: Operator) -> dict[str, float]:
    """The operator's own metrics."""
    with urllib.request.urlopen(f"http://127.0.0.1:{running.port + 1}/metrics", timeout=60) as answer:
        return metrics(answer.read().decode())


def peak_memory(running: Operator) -> float:
    """The most memory that the operator's process ever had, in MiB.

    Raises:
        ValueError: the kernel does not say it: the process has ended.
    """
    status = Path(f"/proc/{running.process.pid}/status").read_text()
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"expected the peak memory of process {running.process.pid}, got:\n{status}")
