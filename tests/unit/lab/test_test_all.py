"""`make test`: every suite runs to its end, and the summary names each failure."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from lab import test_all
from lab.test_all import Lab, Results, Steps, Suite, read_results, summary

if TYPE_CHECKING:
    from pathlib import Path

REPORT = b"""<?xml version="1.0" encoding="utf-8"?>
<testsuites><testsuite name="pytest" errors="1" failures="1" skipped="1" tests="4" time="12.5">
<testcase classname="tests.interop.agent.test_expiry" name="test_passes" time="1"/>
<testcase classname="tests.interop.agent.test_expiry" name="test_fails[a.b]" time="1"><failure message="x"/></testcase>
<testcase classname="tests.interop.agent.test_expiry" name="test_fails[a.b]" time="1"><error message="y"/></testcase>
<testcase classname="tests.cluster.test_x" name="test_skipped" time="1"><skipped/></testcase>
</testsuite></testsuites>"""
FAILS, PASSES = [sys.executable, "-c", "raise SystemExit(3)"], [sys.executable, "-c", ""]


def failed(**codes: int) -> Steps:
    """Steps of which some failed."""
    steps = Steps()
    steps.failed.update(codes)
    return steps


def test_a_report_names_each_test_that_failed_or_was_skipped_once() -> None:
    found = read_results("interop", REPORT)
    assert found == Results(
        "interop",
        1,
        ("tests/interop/agent/test_expiry.py::test_fails[a.b]", "tests/cluster/test_x.py::test_skipped (skipped)"),
        12.5,
    )


def test_the_summary_names_suite_and_test_and_ends_with_the_counts() -> None:
    text, code = summary([Results("unit", 7, (), 3.0), read_results("interop", REPORT)], failed(interop=1, verify=2))
    assert code != 0
    assert text.splitlines()[-4:] == [
        "FAILED interop: tests/interop/agent/test_expiry.py::test_fails[a.b]",
        "FAILED interop: tests/cluster/test_x.py::test_skipped (skipped)",
        "FAILED verify: exit code 2",
        "8 passed, 3 failed",
    ]


def test_all_that_passed_is_a_success() -> None:
    text, code = summary([Results("unit", 7, (), 3.0), Results("interop", 5, (), 1.0)], failed())
    assert (text.splitlines()[-1], code) == ("12 passed, 0 failed", 0)


def test_a_suite_that_left_no_results_has_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_all, "ROOT", tmp_path)
    text, code = summary([Suite("cluster").results()], failed(cluster=4))
    assert (text.splitlines()[-2:], code) == (["FAILED cluster: no results found", "0 passed, 1 failed"], 1)


def test_steps_after_one_that_failed_run_and_each_failure_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_all, "TOOK_EARLIER", {"verify": 1, "unit": 1, "cluster": 1})
    steps = Steps()
    with steps.meanwhile("coverage", FAILS, PASSES):
        steps.run("verify", FAILS)
        steps.run("unit", PASSES)
    steps.run("cluster", FAILS)
    assert steps.failed == {"verify": 3, "coverage": 3, "cluster": 3}


def test_every_suite_runs_whatever_became_of_those_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step fails here, and each one has run all the same."""
    ran = tmp_path / "ran"

    def failing(name: str) -> list[str]:
        return [sys.executable, "-c", f"open({str(ran)!r}, 'a').write({name + ' '!r}); raise SystemExit(1)"]

    def made(target: str) -> list[str]:
        return PASSES if target == "packages" else failing(target)

    monkeypatch.setattr(test_all, "ROOT", tmp_path)
    monkeypatch.setattr(test_all, "make", made)
    monkeypatch.setattr(Suite, "command", property(lambda suite: failing(suite.name)))
    steps = Steps()
    test_all.everything(steps, Lab(PASSES))
    assert sorted(ran.read_text().split()) == sorted(
        ["verify", "coverage", "unit", "images", "alone", "interop", "charts", "cluster"]
    )
    assert set(steps.failed) == {"coverage", "verify", "unit", "images and alone", "interop", "charts", "cluster"}


@pytest.fixture
def passing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each step passes; the folder that they run in."""
    monkeypatch.setattr(test_all, "ROOT", tmp_path)
    monkeypatch.setattr(test_all, "make", lambda _target: PASSES)
    monkeypatch.setattr(Suite, "command", property(lambda _suite: PASSES))
    return tmp_path


@pytest.mark.usefixtures("passing")
def test_a_lab_that_does_not_start_says_why_at_the_end() -> None:
    steps = Steps()
    says = "import sys; print('  ✗ starting'); sys.exit('lab: expected a free network, got a used one')"
    test_all.everything(steps, Lab([sys.executable, "-c", says]))
    text, code = summary([], steps)
    assert (text.splitlines()[-7:], code) == (
        [
            "FAILED lab: exit code 1",
            "The last lines of lab:",
            *["      ✗ starting", "    lab: expected a free network, got a used one"] * 2,
            "0 passed, 1 failed",
        ],
        1,
    )


def test_a_lab_that_starts_at_the_second_attempt_is_used(passing: Path) -> None:
    once = "import pathlib, sys; p = pathlib.Path('tried'); tried = p.exists(); p.touch(); sys.exit(not tried)"
    steps = Steps()
    test_all.everything(steps, Lab([sys.executable, "-c", once]))
    assert (passing / "tried").exists()
    assert steps.failed == {}


def test_a_lab_that_starts_only_from_an_empty_cache_gets_one_where_that_is_permitted(passing: Path) -> None:
    (passing / "cache").touch()
    up = [sys.executable, "-c", "import pathlib, sys; sys.exit(pathlib.Path('cache').exists())"]
    kept = Lab(up)
    assert kept.wait() == 1
    assert (passing / "cache").exists()
    assert Lab(up, clean=[sys.executable, "-c", "import pathlib; pathlib.Path('cache').unlink()"]).wait() == 0


def test_a_lab_that_still_starts_is_ended_and_not_tried_again() -> None:
    lab = Lab([sys.executable, "-c", "import time; time.sleep(600)"])
    lab.stop()
    assert lab.wait() < 0
