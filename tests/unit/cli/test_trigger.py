"""`smbferry trigger`: the run that is created, what is printed of it, and how waiting for it ends."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.cli.fake_api import NAMESPACE, FakeApi, called, task
from tests.unit.cli.samples import ended

from smbferry_api.exit_codes import ExitCode
from smbferry_api.run_status import RunState, TransferRunStatus
from smbferry_cli.arguments import parse
from smbferry_cli.exits import TIMED_OUT, ClusterError
from smbferry_cli.verbs.trigger import run_manifest

RUN = "nightly-x7k2p"


@pytest.mark.parametrize(
    ("words", "spec"),
    [
        ("", {}),
        ("--dry-run", {"dryRun": True}),
        ("--survey --measure-destination", {"survey": True, "measureDestination": True}),
        ("--priority -5", {"priority": -5}),
        ("--priority 0", {"priority": 0}),
        ("--ignore-windows --ttl 24h", {"ignoreWindows": True, "ttlAfterFinished": "24h"}),
        ("--ttl Never", {"ttlAfterFinished": "Never"}),
    ],
)
def test_the_run_asks_for_what_was_typed_and_leaves_the_rest_to_the_api(words: str, spec: dict[str, Any]) -> None:
    chosen = parse("1", ["trigger", "nightly", *words.split()])
    assert run_manifest(task(), NAMESPACE, chosen) == {
        "apiVersion": "smbferry.io/v1alpha1",
        "kind": "TransferRun",
        "metadata": {
            "generateName": "nightly-", "namespace": NAMESPACE, "labels": {"smbferry.io/task": "nightly"},
        },
        "spec": {"taskRef": {"name": "nightly"}, **spec},
    }  # fmt: skip


def test_the_run_has_the_class_of_its_task() -> None:
    found = task(className="branch")
    assert run_manifest(found, NAMESPACE, parse("1", ["trigger", "nightly"]))["spec"]["className"] == "branch"


@pytest.mark.parametrize(
    ("name", "generated", "labelled"),
    [("a" * 63, "a" * 57 + "-", True), ("a" * 64, "a" * 57 + "-", False), ("a" * 56 + ".b", "a" * 56 + "-", True)],
)
def test_long_names_stay_valid(name: str, generated: str, labelled: bool) -> None:
    metadata = run_manifest(task(name), NAMESPACE, parse("1", ["trigger", name]))["metadata"]
    assert (metadata["generateName"], "labels" in metadata) == (generated, labelled)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("trigger nightly", f"transferrun.smbferry.io/{RUN} created\n"),
        ("trigger task/nightly -o name", f"transferrun.smbferry.io/{RUN}\n"),
    ],
)
def test_the_name_is_printed(words: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    api = FakeApi(task())
    assert called(api, words) == 0
    assert capsys.readouterr().out == said
    assert api.requests[-1].query == {"fieldManager": "smbferry-cli"}
    assert api.objects["TransferTask", "nightly"]["spec"] == {"suspend": False}, "the task stays as it is"


def ends(status: TransferRunStatus) -> Any:
    """What the operator and the agent make of the run while the command sleeps."""
    fields = status.model_dump(mode="json", by_alias=True, exclude_none=True)
    return lambda api: api.change("TransferRun", RUN, **fields)


def queued(api: FakeApi) -> None:
    api.change("TransferRun", RUN, state="Queued")


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (RunState.SUCCEEDED, ExitCode.DONE),
        (RunState.PARTIALLY_SUCCEEDED, ExitCode.DONE_WITH_FAILURES),
        (RunState.CANCELLED, ExitCode.CANCELLED),
    ],
)
def test_waiting_ends_with_the_runs_summary_and_exit_code(
    state: RunState, code: ExitCode, capsys: pytest.CaptureFixture[str]
) -> None:
    api = FakeApi(task())
    api.passes = [queued, ends(ended(state))]
    assert called(api, "trigger nightly --wait") == code
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first == f"transferrun.smbferry.io/{RUN} created"
    assert second.startswith(f"{RUN}: {state.value}")


def test_as_json_the_run_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    api = FakeApi(task())
    assert called(api, "trigger nightly -o json") == 0
    assert json.loads(capsys.readouterr().out)["metadata"]["name"] == RUN
    api.passes = [ends(ended())]
    assert called(api, "trigger nightly -o json --wait") == 0
    assert json.loads(capsys.readouterr().out)["status"]["state"] == "Succeeded"


@pytest.mark.parametrize(
    ("words", "passes", "said", "code"),
    [
        (
            "trigger nightly --wait --timeout 2s", [queued, queued, queued],
            (f"expected run/{RUN} to end in time, but --timeout is over; it continues; smbferry watch run/{RUN} shows "
            f"it, smbferry cancel {RUN} cancels it"),
            TIMED_OUT,
        ),
        (
            "trigger nightly --wait", [queued, lambda api: api.objects.pop(("TransferRun", RUN))],
            f"expected run/{RUN} to end, but it was deleted", ExitCode.CANCELLED,
        ),
        (
            "trigger nightl", [], 'TransferTask "nightl" not found in namespace "ferry"; did you mean "nightly"?',
            ExitCode.CONFIGURATION,
        ),
    ],
)  # fmt: skip
def test_what_does_not_end_is_told(words: str, passes: list[Any], said: str, code: int) -> None:
    api = FakeApi(task())
    api.passes = passes
    with pytest.raises(ClusterError) as raised:
        called(api, words)
    assert (str(raised.value), raised.value.exit_code) == (said, code)
