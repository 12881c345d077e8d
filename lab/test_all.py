"""`make test`: runs all tests, the fastest first; the lab starts while unit tests run.

Requires only Python: the required packages are installed while the lab starts.

The lab is always stopped at the end, unless it was running before or SMBFERRY_KEEP_LAB is set.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree as ET
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lab.smblab import host
from lab.smblab.progress import seconds

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).resolve().parents[1]
LAB = str(ROOT / "lab" / "lab")
REPORTS = Path("build/reports")
TOOK_EARLIER = {"packages": 1, "verify": 6, "unit": 85, "interop": 420, "charts": 130, "cluster": 460}
"""Steps in their order, in seconds, where all is cached. What is built first, once, tells how long that takes."""
MEMORY_FOR_SHARES = 8 << 30
LEAN = ("-p", "no:hypothesispytest")  # its plugin takes a second of each process; these tests have no examples to find
WORKERS = (*LEAN, "--dist", "loadfile", "--no-loadscope-reorder")  # tests/conftest.py says in which order
TOOLS = (LAB, "tools", "--", "python3")
LAST_LINES = 20


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
        """What came of it; a suite that left no results has failed as a whole."""
        report = ROOT / self.report
        if not report.exists():
            return Results(self.name, 0, ("no results found",), 0)
        return read_results(self.name, report.read_bytes())


@dataclass(frozen=True)
class Results:
    """One suite's tests that passed, by count, those that failed, by name, and its seconds."""

    name: str
    passed: int
    failures: tuple[str, ...]
    seconds: float


def read_results(name: str, report: bytes) -> Results:
    """The results of the suite ``name``, from its JUnit XML. A skipped test hides a missing part: it counts as failed.

    A test whose teardown failed too is named once.
    """
    suite = next(ET.fromstring(report).iter("testsuite"))
    failures: dict[str, None] = {}
    passed = 0
    for case in suite.iter("testcase"):
        path = case.get("classname", "").replace(".", "/")
        test = f"{path}.py::{case.get('name')}" if path else str(case.get("name"))
        if case.find("skipped") is not None:
            failures[f"{test} (skipped)"] = None
        elif case.find("failure") is not None or case.find("error") is not None:
            failures[test] = None
        else:
            passed += 1
    return Results(name, passed, tuple(failures), float(suite.get("time", 0)))


UNIT = Suite("unit", ("--ignore=tests/unit/engine",))
ENGINE = Suite("engine", folder="unit/engine")  # by `make coverage`
INTEROP = Suite("interop", (*WORKERS, "-n", "3"), python=TOOLS)
ALONE = Suite("alone", (*LEAN, "-m", "alone", "--keep-chart"), folder="cluster")
CLUSTER = Suite("cluster", (*WORKERS, "-n", "4", "-m", "not alone"))
SUITES = (UNIT, ENGINE, INTEROP, ALONE, CLUSTER)


class Lab:
    """The start of the lab in the background, tried again where it fails; what it prints is shown at once.

    Attributes:
        lines: the last lines that it printed: they say why it failed.
    """

    def __init__(self, up: list[str], *, clean: list[str] | None = None, env: Mapping[str, str] | None = None) -> None:
        """Begins.

        Args:
            clean: what empties the cache before the last attempt. None keeps the cache whatever happens.
        """
        self.lines: deque[str] = deque(maxlen=LAST_LINES)
        self._env = env
        self._attempts = [up, up, clean, up] if clean else [up, up]
        self._wanted = True
        self._starting = threading.Lock()
        self._code = 0
        self._process = self._start(up)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _start(self, command: list[str]) -> subprocess.Popen[bytes]:
        output = subprocess.PIPE
        return subprocess.Popen(command, cwd=ROOT, env=self._env, stdout=output, stderr=subprocess.STDOUT)

    def _run(self) -> None:
        up, *further = self._attempts
        self._code = self._show(self._process)
        for command in further:
            with self._starting:
                if not self._code or not self._wanted:
                    return
                print(f"=== lab: did not start; next: {shlex.join(command)}", flush=True)
                self._process = self._start(command)
            code = self._show(self._process)
            self._code = code if command is up else self._code

    def _show(self, process: subprocess.Popen[bytes]) -> int:
        with process:
            for line in process.stdout or ():
                self.lines.append(line.decode(errors="replace").rstrip())
                print(self.lines[-1], file=sys.stderr, flush=True)
        return process.returncode

    def wait(self) -> int:
        """Waits until it ends; returns its exit code."""
        self._thread.join()
        return self._code

    def stop(self) -> None:
        """Ends it where it still runs; it cleans up by itself."""
        with self._starting:
            self._wanted = False
            self._process.terminate()
        self.wait()


class Steps:
    """Runs steps one after another, each to its end whatever became of those before it.

    Attributes:
        failed: the exit code of each step that failed, by its name.
        printed: the last lines of a step that failed, where they are kept, by its name.
    """

    def __init__(self) -> None:
        self.failed: dict[str, int] = {}
        self.printed: dict[str, tuple[str, ...]] = {}

    def run(self, what: str, command: list[str]) -> None:
        """Runs a step in the foreground."""
        if code := run(what, command):
            self.failed[what] = code

    @contextmanager
    def meanwhile(self, what: str, *commands: list[str]) -> Iterator[None]:
        """Runs commands, each to its end, while the block runs, and waits; what they say comes at their end."""
        with meanwhile(what, *commands) as process:
            yield
        if process.returncode:
            self.failed[what] = process.returncode


def run(what: str, command: list[str]) -> int:
    """Runs a step in the foreground; returns its exit code."""
    rest = list(TOOK_EARLIER)[list(TOOK_EARLIER).index(what) :]
    left = seconds(sum(TOOK_EARLIER[step] for step in rest))
    print(f"\n=== {what} (usually about {TOOK_EARLIER[what]} s; total: about {left} left)", flush=True)
    began = time.monotonic()
    code = subprocess.run(command, cwd=ROOT, check=False).returncode
    became = f"FAILED with {code} after " if code else ""
    print(f"=== {what}: {became}{time.monotonic() - began:.0f} s", flush=True)
    return code


def make(target: str) -> list[str]:
    """The command that makes a target."""
    return ["make", "--no-print-directory", target]


@contextmanager
def meanwhile(what: str, *commands: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Runs commands one after another while the block runs, and waits for them; what they say comes at their end.

    Every command runs, and the exit code is that of the last one that failed.
    """
    each = "; ".join(f"{shlex.join(command)} || code=$?" for command in commands)
    command = ["sh", "-c", f"code=0; {each}; exit $code"]
    print(f"\n=== {what}: running in the background", flush=True)
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=said, start_new_session=True) as process,
    ):
        try:
            yield process
        except BaseException:
            os.killpg(process.pid, signal.SIGTERM)
            raise
        if process.poll() is None:
            print(f"\n=== {what}: waiting until it ends", flush=True)
        code = process.wait()
        said.seek(0)
        print(f"\n=== {what}\n{said.read().decode(errors='replace')}", flush=True)
    if code:
        print(f"=== {what}: FAILED with {code}", flush=True)


def everything(steps: Steps, lab: Lab) -> None:
    """All suites, each to its end; the lab starts while the pure ones run.

    Tests that must have the cluster for themselves mostly wait: they run beside those that need the domain only.
    """
    for suite in SUITES:
        (ROOT / suite.report).unlink(missing_ok=True)
    steps.run("packages", make("packages"))
    if steps.failed:
        return  # nothing runs without them
    steps.run("verify", make("verify"))
    steps.run("unit", UNIT.command)
    print("\n=== lab: waiting for the domain and the cluster", flush=True)
    code = lab.wait()
    if code:
        steps.failed["lab"] = code
        steps.printed["lab"] = tuple(lab.lines)
    with steps.meanwhile("coverage", make("coverage")):
        if code:
            return  # nothing that is left runs without the lab
        with steps.meanwhile("images and alone", make("images"), ALONE.command):
            steps.run("interop", INTEROP.command)
            steps.run("charts", make("charts"))
    steps.run("cluster", CLUSTER.command)


def summary(results: list[Results], steps: Steps) -> tuple[str, int]:
    """What is said at the end, each failure by its suite and test, and the exit code.

    A step is named where none of its own tests is, with its last lines where they are kept.
    """
    named = [f"{found.name}: {failure}" for found in results for failure in found.failures]
    suites = {found.name for found in results if found.failures}
    named += [f"{step}: exit code {code}" for step, code in steps.failed.items() if step not in suites]
    lines = [
        f"  {found.name:8} {found.passed:5} passed  {len(found.failures):3} failed  {found.seconds:5.0f} s"
        for found in results
    ]
    lines += [f"FAILED {failure}" for failure in named]
    for step, last in steps.printed.items():
        lines += [f"The last lines of {step}:", *(f"    {line}" for line in last)]
    lines.append(f"{sum(found.passed for found in results)} passed, {len(named)} failed")
    return "\n".join(lines), 1 if named else 0


def start_lab(*, used: bool) -> Lab:
    """Begins to start the lab; its shares in memory where there is enough of it: tests make and remove many files.

    One that is ``used`` by somebody stays as it is.
    """
    environment = dict(os.environ)
    if not used and host.available_memory(Path("/proc/meminfo").read_text()) >= MEMORY_FOR_SHARES:
        environment.setdefault("SMBFERRY_LAB_TMPFS", "1")
    # A CI system may restore a cache that is damaged, and nobody there waits for it at the next start.
    clean = [LAB, "clean"] if os.environ.get("CI") and not used else None
    return Lab([LAB, "up"], clean=clean, env=environment)


def main() -> int:
    """Runs everything; 0 when all passed."""
    began = time.monotonic()
    was_up = subprocess.run([LAB, "status"], cwd=ROOT, check=False, stdout=subprocess.DEVNULL).returncode == 0
    lab = start_lab(used=was_up)
    steps = Steps()
    try:
        everything(steps, lab)
    finally:
        lab.stop()
        if not was_up and not os.environ.get("SMBFERRY_KEEP_LAB"):
            subprocess.run([LAB, "down"], cwd=ROOT, check=False)
    print(f"\nTotal time: {(time.monotonic() - began) / 60:.1f} minutes")
    text, code = summary([suite.results() for suite in SUITES], steps)
    print(text)
    return code


if __name__ == "__main__":
    sys.exit(main())
