"""The environment in which kubectl, helm, docker and the tests find the lab."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

LAB = Path(__file__).resolve().parents[1] / "lab"


def lab_environment() -> dict[str, str]:
    """This process' environment with the lab's own variables on top, as `eval "$(lab/lab env)"` gives a shell.

    Raises:
        subprocess.CalledProcessError: the lab is not up.
    """
    exports = subprocess.run([LAB, "env"], check=True, capture_output=True, text=True).stdout
    shown = subprocess.run(["sh", "-c", f"{exports}\nenv -0"], check=True, capture_output=True, text=True).stdout
    return {**os.environ, **dict(pair.split("=", 1) for pair in shown.split("\0") if "=" in pair)}


def engine_environment() -> dict[str, str]:
    """This process' environment for another Python, which finds the same modules as this one does."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
