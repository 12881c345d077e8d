"""`make test`: everything, what finds a fault soonest first, with the lab coming up while pure tests run.

Begins with nothing but Python: the packages that the rest needs are installed while the lab starts.

The lab is stopped again at the end, however that comes, unless it was up before or SMBFERRY_KEEP_LAB is set.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lab.smblab import host
from lab.smblab.progress import seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
LAB = str(ROOT / "lab" / "lab")
REPORTS = Path("build/reports")
TOOK_EARLIER = {"packages": 1, "verify": 5, "unit": 60, "interop": 240, "charts": 15, "cluster": 320}
"""Steps in their order, in seconds, where all is cached. What is built first, once, tells how long that takes."""
MEMORY_FOR_SHARES = 8 << 30
LEAN = ("-p", "no:hypothesispytest")  # its plugin takes a second of each process; these tests have no examples to find
WORKERS = (*LEAN, "--dist", "loadfile", "--no-loadscope-reorder")  # tests/conftest.py says in which order
TOOLS = (LAB, "tools", "--", "python3")


@dataclass(frozen=True)
class Suite:
    """One pytest run: a folder of tests, of the suite's name if none is given, by a Python of its own."""

    name: str
    options: tuple[str, ...] = ()
    folder: str = ""
    python: tuple[str, ...] = (sys.executable,)

    @property
    def report(self) -> Path:
        """Where it leaves its results, below the repository's root."""
        return REPORTS / f"{self.name}.xml"

    @property
    def command(self) -> list[str]:
        """What runs it, from the repository's root."""
        tests = f"tests/{self.folder or self.name}"
        return [*self.python, "-m", "pytest", "-q", *self.options, tests, f"--junitxml={self.report}"]

    def results(self) -> Results:
        """What came of it."""
        suite = next(ET.parse(ROOT / self.report).iter("testsuite"))
        if skipped := int(suite.get("skipped", 0)):
            raise SystemExit(f"{self.name}: {skipped} tests were skipped; a skip hides a missing part")
        failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        return Results(self.name, int(suite.get("tests", 0)) - failed, failed, float(suite.get("time", 0)))


@dataclass(frozen=True)
class Results:
    """The counts of one suite, and its seconds."""

    name: str
    passed: int
    failed: int
    seconds: float


UNIT = Suite("unit", ("--ignore=tests/unit/engine",))
ENGINE = Suite("engine", folder="unit/engine")  # by `make coverage`
INTEROP = Suite("interop", (*WORKERS, "-n", "3"), python=TOOLS)
ALONE = Suite("alone", (*LEAN, "-m", "alone", "--keep-chart"), folder="cluster")
CLUSTER = Suite("cluster", (*WORKERS, "-n", "4", "-m", "not alone"))
SUITES = (UNIT, ENGINE, INTEROP, ALONE, CLUSTER)


def run(what: str, command: list[str]) -> None:
    """Runs a step in the foreground.

    Raises:
        subprocess.CalledProcessError: the step failed.
    """
    rest = list(TOOK_EARLIER)[list(TOOK_EARLIER).index(what) :]
    left = seconds(sum(TOOK_EARLIER[step] for step in rest))
    print(f"\n=== {what} (usually about {TOOK_EARLIER[what]} s; all of it: about {left} left)", flush=True)
    began = time.monotonic()
    subprocess.run(command, cwd=ROOT, check=True)
    print(f"=== {what}: {time.monotonic() - began:.0f} s", flush=True)


def make(target: str) -> list[str]:
    """The command that makes a target."""
    return ["make", "--no-print-directory", target]


@contextmanager
def meanwhile(what: str, *commands: list[str]) -> Iterator[None]:
    """Runs commands one after another while the block runs, and waits for them; what they say comes at their end.

    Raises:
        subprocess.CalledProcessError: one failed.
    """
    command = ["sh", "-c", " && ".join(map(shlex.join, commands))]
    print(f"\n=== {what}: meanwhile", flush=True)
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=said, start_new_session=True) as process,
    ):
        try:
            yield
        except BaseException:
            os.killpg(process.pid, signal.SIGTERM)
            raise
        if process.poll() is None:
            print(f"\n=== {what}: waiting for it", flush=True)
        code = process.wait()
        said.seek(0)
        print(f"\n=== {what}\n{said.read().decode(errors='replace')}", flush=True)
    if code:
        raise subprocess.CalledProcessError(code, [what])


def everything(lab: subprocess.Popen[bytes]) -> None:
    """All suites; the lab starts while the pure ones run.

    Tests that must have the cluster for themselves mostly wait: they run beside those that need the domain only.
    """
    for suite in SUITES:
        (ROOT / suite.report).unlink(missing_ok=True)
    run("packages", make("packages"))
    with meanwhile("coverage", make("coverage")):
        run("verify", make("verify"))
        run("unit", UNIT.command)
        print("\n=== lab: waiting until domain and cluster are up", flush=True)
        if lab.wait():
            raise SystemExit("lab: did not come up; see above")
        with meanwhile("images and alone", make("images"), ALONE.command):
            run("interop", INTEROP.command)
            run("charts", make("charts"))
    run("cluster", CLUSTER.command)


def start_lab(*, used: bool) -> subprocess.Popen[bytes]:
    """Begins to start the lab; its shares in memory where there is enough of it: tests make and remove many files.

    One that is ``used`` by somebody stays as it is.
    """
    environment = dict(os.environ)
    if not used and host.available_memory(Path("/proc/meminfo").read_text()) >= MEMORY_FOR_SHARES:
        environment.setdefault("SMBFERRY_LAB_TMPFS", "1")
    return subprocess.Popen([LAB, "up"], cwd=ROOT, env=environment)


def main() -> int:
    """Runs everything; 0 when all passed."""
    began = time.monotonic()
    was_up = subprocess.run([LAB, "status"], cwd=ROOT, check=False, stdout=subprocess.DEVNULL).returncode == 0
    lab = start_lab(used=was_up)
    try:
        everything(lab)
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
    results = [suite.results() for suite in SUITES]
    for found in results:
        print(f"  {found.name:8} {found.passed:5} passed  {found.seconds:5.0f} s")
    print(f"{sum(r.passed for r in results)} passed, {sum(r.failed for r in results)} failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
