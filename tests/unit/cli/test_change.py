"""`smbferry cancel`, `suspend` and `resume`: which objects change, and only there where it is asked for."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.cli.fake_api import FakeApi, called, run, task

from smbferry_cli.exits import TIMED_OUT, ClusterError

FERRY = (
    task("nightly"),
    task("weekly", suspend=True),
    run("nightly-1", "Succeeded"),
    run("nightly-2", "Transferring"),
    run("nightly-3"),
    run("weekly-1", "Queued", of="weekly"),
)


def written(api: FakeApi) -> list[tuple[str, Any]]:
    return [(r.name, r.body) for r in api.requests if r.verb == "patch"]


CANCEL: dict[str, Any] = {"spec": {"cancel": True}}


@pytest.mark.parametrize(
    ("words", "changes", "said"),
    [
        (
            "cancel nightly-2 run/weekly-1", [("nightly-2", CANCEL), ("weekly-1", CANCEL)],
            ["transferrun.smbferry.io/nightly-2 is being cancelled",
             "transferrun.smbferry.io/weekly-1 is being cancelled"],
        ),
        (
            "cancel --task nightly", [("nightly-2", CANCEL), ("nightly-3", CANCEL)],
            ["transferrun.smbferry.io/nightly-2 is being cancelled",
             "transferrun.smbferry.io/nightly-3 is being cancelled"],
        ),
        ("cancel nightly-1", [], ["transferrun.smbferry.io/nightly-1 has already ended: Succeeded"]),
        (
            "suspend nightly weekly", [("nightly", {"spec": {"suspend": True}})],
            ["transfertask.smbferry.io/nightly suspended", "transfertask.smbferry.io/weekly unchanged"],
        ),
        (
            "suspend --all", [("nightly", {"spec": {"suspend": True}})],
            ["transfertask.smbferry.io/nightly suspended", "transfertask.smbferry.io/weekly unchanged"],
        ),
        (
            "resume weekly", [("weekly", {"spec": {"suspend": False}})],
            ["transfertask.smbferry.io/weekly resumed"],
        ),
        (
            "resume --all", [("weekly", {"spec": {"suspend": False}})],
            ["transfertask.smbferry.io/nightly unchanged", "transfertask.smbferry.io/weekly resumed"],
        ),
        (
            "resume run/nightly-2", [("nightly-2", {"spec": {"ignoreWindows": True}})],
            ["transferrun.smbferry.io/nightly-2 resumed; it ignores the windows of its task"],
        ),
    ],
)  # fmt: skip
def test_what_is_changed_and_said(
    words: str, changes: list[tuple[str, Any]], said: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    api = FakeApi(*FERRY)
    assert called(api, words) == 0
    assert written(api) == changes
    assert capsys.readouterr().out.splitlines() == said


def test_a_task_without_an_active_run_has_nothing_to_cancel(capsys: pytest.CaptureFixture[str]) -> None:
    assert called(FakeApi(task()), "cancel --task nightly --wait") == 0
    assert capsys.readouterr().out == "transfertask.smbferry.io/nightly has no active run\n"


def test_waiting_for_the_end_of_what_was_cancelled(capsys: pytest.CaptureFixture[str]) -> None:
    api = FakeApi(*FERRY)
    api.passes = [
        lambda api: api.change("TransferRun", "nightly-2", state="Cancelling"),
        lambda api: api.change("TransferRun", "nightly-2", state="Cancelled"),
        lambda api: api.objects.pop(("TransferRun", "nightly-3")),
    ]
    assert called(api, "cancel --task nightly --wait") == 0
    assert capsys.readouterr().out.splitlines()[2:] == [
        "transferrun.smbferry.io/nightly-2 has ended: Cancelled",
        "transferrun.smbferry.io/nightly-3 was deleted",
    ]


def test_a_run_that_does_not_end_in_time() -> None:
    api = FakeApi(*FERRY)
    api.passes = [lambda _: None] * 3
    with pytest.raises(ClusterError, match="expected run/nightly-2 to end in time") as raised:
        called(api, "cancel nightly-2 --wait --timeout 2s")
    assert raised.value.exit_code == TIMED_OUT


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("cancel nightly-22", 'TransferRun "nightly-22" not found in namespace "ferry"; did you mean "nightly-2"?'),
        ("cancel --task weekl", 'TransferTask "weekl" not found in namespace "ferry"; did you mean "weekly"?'),
        ("suspend weekl", 'TransferTask "weekl" not found in namespace "ferry"; did you mean "weekly"?'),
    ],
)
def test_what_is_not_there_is_told_with_a_similar_name(words: str, said: str) -> None:
    api = FakeApi(*FERRY)
    with pytest.raises(ClusterError) as raised:
        called(api, words)
    assert str(raised.value).startswith(said.partition(";")[0])
    assert "did you mean" in str(raised.value)
    assert written(api) == []
