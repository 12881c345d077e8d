"""What a check found: the word for each condition, the exit code, the sentence at the end, the JSON."""

from __future__ import annotations

import pytest
from tests.unit.cli import samples
from tests.unit.cli.samples import identity, location

from smbferry_api.exit_codes import ExitCode
from smbferry_api.run_status import RunState
from smbferry_cli.exits import most_severe, state_of
from smbferry_cli.verdicts import Verdict, as_list, conclusion, exit_code


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ((), 0),
        ((0, 0), 0),
        ((0, 22), 22),
        ((22, 11), 11),
        ((13, 20, 10), 10),
        ((20, 21, 30), 20),
        ((10, 70, 11), 70),
        ((3, 0), 3),
    ],
)
def test_the_most_severe_end_decides(codes: tuple[int, ...], expected: int) -> None:
    assert most_severe(map(ExitCode, codes)) == expected


@pytest.mark.parametrize(
    ("code", "state"),
    [
        (ExitCode.DONE, RunState.SUCCEEDED),
        (ExitCode.DONE_WITH_FAILURES, RunState.PARTIALLY_SUCCEEDED),
        (ExitCode.CANCELLED, RunState.CANCELLED),
        (ExitCode.IDENTITY, RunState.FAILED),
        (ExitCode.BUG, RunState.FAILED),
    ],
)
def test_the_state_of_an_end(code: ExitCode, state: RunState) -> None:
    assert state_of(code) is state


@pytest.mark.parametrize(
    ("verdict", "words", "code"),
    [
        (identity(), "ok ok ok ok ok ok", 0),
        (identity(samples.STALE), "ok ok ok ok failed failed", 11),
        (identity(samples.AHEAD), "ok ok ok ok warning ok", 0),
        (identity(samples.AGING), "ok ok ok warning ok ok", 0),
        (location(), "ok ok ok ok ok", 0),
        (location(samples.REVERSED), "warning ok ok ok ok", 0),
        (location(samples.NO_SHARE), "ok ok ok ok failed", 13),
        (location(samples.LOCATION_IS_WELL[:1]), "ok not_checked not_checked not_checked not_checked", 0),
    ],
)
def test_words_and_exit_code(verdict: Verdict, words: str, code: int) -> None:
    assert [row.word.name.lower() for row in verdict.rows()] == words.split()
    assert verdict.exit_code == code


def test_a_failed_check_ends_with_its_remedy() -> None:
    *_, last = location(samples.NO_SHARE).rows()
    assert last.message.startswith("Expected finance. ")
    assert len(last.message) > len("Expected finance. ")


def test_a_location_is_as_bad_as_its_worst_neighbour() -> None:
    assert exit_code([identity(), location(samples.NO_SHARE), identity(samples.STALE)]) is ExitCode.IDENTITY


def test_the_conclusion_names_who_failed() -> None:
    assert conclusion([identity()]) == "1 object checked: all healthy."
    assert conclusion([identity(samples.STALE), location()]) == "2 objects checked, 1 failed: KerberosIdentity svc-src."


def test_the_list_for_machines_has_the_status_of_the_cluster() -> None:
    listed = as_list([identity(samples.STALE)])
    assert (listed["kind"], listed["apiVersion"]) == ("List", "v1")
    (item,) = listed["items"]
    assert (item["kind"], item["metadata"]["name"]) == ("KerberosIdentity", "svc-src")
    assert item["apiVersion"] == "smbferry.io/v1alpha1"
    mismatch = item["status"]["conditions"][4]
    assert (mismatch["type"], mismatch["status"], mismatch["reason"]) == ("KvnoMismatch", "True", "KeytabStale")
