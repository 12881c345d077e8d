"""How the lab runs other programs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from lab.smblab import shell
from lab.smblab.errors import LabError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made, in seconds; nobody waits for them."""
    made: list[float] = []
    monkeypatch.setattr(time, "sleep", made.append)
    return made


def mirror(log: Path, failures: int) -> list[str]:
    """A command that fails so many times and then succeeds; it counts in a file beside the log."""
    count = log.with_suffix(".count")
    return ["sh", "-c", f'echo x >>"{count}"; test "$(wc -l <"{count}")" -gt {failures} || {{ echo 503; exit 7; }}']


def test_a_fetch_that_failed_is_tried_again_and_says_so(
    tmp_path: Path, pauses: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "base.log"
    command = mirror(log, failures=2)
    shell.fetched(lambda: shell.logged(command, log))
    assert pauses == list(shell.PAUSES)
    said = capsys.readouterr().err
    assert said.count("trying again") == len(pauses)
    assert "failed with exit code 7" in said
    assert "503" in said


def test_a_fetch_that_fails_each_time_is_an_error_that_says_why(tmp_path: Path, pauses: list[float]) -> None:
    log = tmp_path / "base.log"
    command = mirror(log, failures=9)
    with pytest.raises(LabError, match="503"):
        shell.fetched(lambda: shell.logged(command, log))
    assert len(pauses) == len(shell.PAUSES)
