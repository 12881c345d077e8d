"""`make test`: everything, in the order that finds a fault soonest, with the lab coming up while pure tests run.

The lab is stopped again at the end, however that comes, unless it was up before or SMBFERRY_KEEP_LAB is set.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
LAB = str(ROOT / "lab" / "lab")
WORKERS = ["-n", "4", "--dist", "loadfile", "--no-loadscope-reorder"]  # tests/conftest.py says in which order
REPORTS = ROOT / "build" / "reports"
TOOK_EARLIER = {"verify": 20, "unit": 60, "interop": 250, "cluster": 330, "alone": 250}


@dataclass
class Suite:
    """The counts of one pytest run."""

    name: str
    passed: int
    failed: int
    seconds: float


def run(what: str, command: list[str]) -> float:
    """Runs a step in the foreground; returns how long it took.

    Raises:
        subprocess.CalledProcessError: the step failed.
    """
    print(f"\n=== {what} (usually about {TOOK_EARLIER[what]} s)", flush=True)
    began = time.monotonic()
    subprocess.run(command, cwd=ROOT, check=True)
    took = time.monotonic() - began
    print(f"=== {what}: {took:.0f} s", flush=True)
    return took


def pytest(name: str, prefix: list[str], *options: str, folder: str = "") -> Suite:
    """Runs one folder of tests, of the same name if none is given, and counts from its report."""
    report = REPORTS / f"{name}.xml"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    words = ["-m", "pytest", "-q", *options, f"tests/{folder or name}", f"--junitxml={report.relative_to(ROOT)}"]
    took = run(name, [*prefix, *words])
    suite = next(ET.parse(report).iter("testsuite"))
    broken = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
    skipped = int(suite.get("skipped", 0))
    if skipped:
        raise SystemExit(f"{name}: {skipped} tests were skipped; a skip hides a missing part")
    return Suite(name, int(suite.get("tests", 0)) - broken, broken, took)


@contextmanager
def meanwhile(*targets: str, nice: int = 0) -> Iterator[None]:
    """Makes targets while the block runs, and waits for them; what they say comes at their end.

    Raises:
        subprocess.CalledProcessError: one failed.
    """
    what = " and ".join(targets)
    command = ["nice", "-n", str(nice), "make", "--no-print-directory", *targets]
    print(f"\n=== {what}: meanwhile", flush=True)
    with tempfile.TemporaryFile() as said, subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=said) as process:
        try:
            yield
        except BaseException:
            process.terminate()
            raise
        code = process.wait()
        said.seek(0)
        print(f"\n=== {what}\n{said.read().decode(errors='replace')}", flush=True)
    if code:
        raise subprocess.CalledProcessError(code, command)


def everything(lab: subprocess.Popen[bytes]) -> list[Suite]:
    """All suites; the lab starts while the pure ones run, images and chart are seen to while the engine is tested."""
    run("verify", ["make", "--no-print-directory", "verify"])
    with meanwhile("coverage"):
        suites = [pytest("unit", [sys.executable])]
    print("\n=== lab: waiting until domain and cluster are up", flush=True)
    if lab.wait():
        raise SystemExit("lab: did not come up; see above")
    with meanwhile("images", "charts", nice=10):
        suites.append(pytest("interop", [LAB, "tools", "--", "python3"], *WORKERS))
    cluster = [sys.executable]
    suites.append(pytest("cluster", cluster, *WORKERS, "-m", "not alone", "--keep-chart"))
    suites.append(pytest("alone", cluster, "-m", "alone", folder="cluster"))
    return suites


def main() -> int:
    """Runs everything; 0 when all passed."""
    began = time.monotonic()
    was_up = subprocess.run([LAB, "status"], cwd=ROOT, check=False, stdout=subprocess.DEVNULL).returncode == 0
    lab = subprocess.Popen([LAB, "up"], cwd=ROOT)
    try:
        suites = everything(lab)
    except subprocess.CalledProcessError as error:
        print(f"\nFAILED: {' '.join(error.cmd)} ended with {error.returncode}", file=sys.stderr)
        return 1
    finally:
        if lab.poll() is None:
            lab.terminate()
            lab.wait()
        if not was_up and not os.environ.get("SMBFERRY_KEEP_LAB"):
            subprocess.run([LAB, "down"], cwd=ROOT, check=False)
    print(f"\nEverything in {(time.monotonic() - began) / 60:.1f} minutes:")
    for suite in suites:
        print(f"  {suite.name:8} {suite.passed:5} passed  {suite.seconds:5.0f} s")
    print(f"{sum(s.passed for s in suites)} passed, {sum(s.failed for s in suites)} failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
