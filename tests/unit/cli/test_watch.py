"""A run in a cluster, watched: why none goes on, what is shown of one that does, and how each end is told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.cli.fake_api import FakeApi, called
from tests.unit.cli.samples import console, ended, going_on, rendered

from smbferry_api.exit_codes import ExitCode
from smbferry_api.run_status import RunFailure, RunState, TransferRunStatus
from smbferry_cli import tables, watch
from smbferry_cli.api import AwayError
from smbferry_cli.exits import ClusterError, code_of
from smbferry_cli.progress import Bar, Lines
from smbferry_cli.watch import Watcher
from smbferry_cli.watching import NextRun, next_run
from smbferry_words.run import PhaseState

if TYPE_CHECKING:
    from collections.abc import Iterator

NIGHTLY = "0 22 * * *"
Object = dict[str, Any]


def task(
    *conditions: Object, version: str = "1", observed: int = 2, spec: Object | None = None, **status: Any
) -> Object:
    return {
        "kind": "TransferTask",
        "metadata": {"name": "nightly", "generation": 2, "resourceVersion": version, "managedFields": [{}]},
        "spec": {"trigger": "one", **(spec or {})},
        "status": {"observedGeneration": observed, "observedTrigger": "one", "conditions": conditions, **status},
    }  # fmt: skip


def condition(type_: str, status: str, reason: str, message: str) -> Object:
    return {
        "type": type_, "status": status, "reason": reason, "message": message,
        "lastTransitionTime": "2026-11-21T19:00:00Z", "observedGeneration": 2,
    }  # fmt: skip


def run(status: TransferRunStatus, version: str = "1", *conditions: Object, name: str = "nightly-1") -> Object:
    told = status.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {
        "kind": "TransferRun",
        "metadata": {"name": name, "resourceVersion": version},
        "spec": {"taskRef": {"name": "nightly"}},
        "status": {**told, "conditions": conditions},
    }


LAST = {"name": "nightly-0", "state": "Failed"}
NOT_READY = condition("Ready", "False", "LocationNotReady", "SmbLocation source is not Ready: KeytabStale.")
STALLED = condition("Stalled", "True", "KeytabStale", "The KDC refused the key.")
READY = condition("Ready", "True", "ChecksPassed", "It can run.")
QUEUED = condition("Succeeded", "Unknown", "RunQueued", "Waits for nightly-0, which writes to the same folder.")


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (task(activeRun="nightly-1"), NextRun(run="nightly-1")),
        (task(NOT_READY, activeRun="nightly-1", lastRun=LAST), NextRun(run="nightly-1", last="nightly-0")),
        (
            task(READY, observed=1),
            NextRun(why="The operator has not processed the latest spec yet.", waits=True),
        ),
        (
            {**task(), "status": None},
            NextRun(why="The operator has not processed the latest spec yet.", waits=True),
        ),
        (
            task(NOT_READY, STALLED, lastRun=LAST),
            NextRun(why="KeytabStale: The KDC refused the key.", last="nightly-0", code=ExitCode.IDENTITY),
        ),
        (task(READY, spec={"suspend": True}), NextRun(why="The task is suspended because spec.suspend is true.")),
        (
            task(NOT_READY),
            NextRun(why="LocationNotReady: SmbLocation source is not Ready: KeytabStale.", waits=True),
        ),
        (task(READY, spec={"trigger": "two"}), NextRun(why="A run will start soon.", waits=True)),
        (
            task(READY, nextScheduleTime="2026-11-21T22:00:00Z", spec={"trigger": "", "schedule": {"cron": NIGHTLY}}),
            NextRun(why="The next run is scheduled for 2026-11-21 22:00:00Z.", waits=True),
        ),
        (
            task(READY, lastRun=LAST),
            NextRun(why="No run is active or due. To start one, run: smbferry trigger nightly", last="nightly-0"),
        ),
    ],
)  # fmt: skip
def test_which_run_there_is_to_watch_or_why_there_is_none(found: Object, expected: NextRun) -> None:
    assert next_run(found) == expected


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (ended(), ExitCode.DONE),
        (ended(RunState.PARTIALLY_SUCCEEDED, failed=1), ExitCode.DONE_WITH_FAILURES),
        (ended(RunState.CANCELLED), ExitCode.CANCELLED),
        (
            TransferRunStatus(state=RunState.FAILED, failure=RunFailure(class_="Policy", reason="X", message="")),
            ExitCode.POLICY,
        ),
        (
            TransferRunStatus.model_validate(
                {"state": "Failed", "conditions": [condition("Succeeded", "False", "AgentLost", "It is gone.")]}
            ),
            ExitCode.NETWORK,
        ),
        (
            TransferRunStatus(state=RunState.FAILED, failure=RunFailure(class_="Novel", reason="New", message="")),
            ExitCode.CONFIGURATION,
        ),
    ],
)
def test_a_run_ends_with_the_code_that_it_would_have_had_without_a_cluster(
    status: TransferRunStatus, code: ExitCode
) -> None:
    assert code_of(status) == code


class Played:
    """A cluster that answers what it is given, look by look; the last answer stays."""

    def __init__(self, tasks: list[Object | Exception], runs: list[Object | Exception | None]) -> None:
        self._tasks, self._runs = iter(tasks), iter(runs)

    def task(self, _name: str) -> Object:
        return dict(self._next(self._tasks))

    def run(self, _name: str) -> Object | None:
        found: Object | None = self._next(self._runs)
        return found

    @staticmethod
    def _next(answers: Iterator[Any]) -> Any:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer


WORKING = going_on(preflight=PhaseState.SUCCEEDED, transfer=PhaseState.RUNNING)


def watched(played: Played) -> tuple[list[str], list[str], watch.Watched]:
    """The lines that a log gets, the versions that were told, and the end."""
    shown, out = console(terminal=False)
    told = list[str]()
    with Lines(shown) as view:
        end = Watcher(
            played, "nightly", view, lambda o: told.append(f"{o['kind']} {o['metadata']['resourceVersion']}"),
            sleep=lambda _: None,
        ).follow()  # fmt: skip
    return out.getvalue().splitlines(), told, end


def test_a_run_is_followed_from_what_it_waits_for_to_its_end() -> None:
    lines, told, end = watched(
        Played(
            [task(NOT_READY), task(NOT_READY), task(READY, version="2", activeRun="nightly-1")],
            [
                run(TransferRunStatus(state=RunState.QUEUED), "1", QUEUED),
                run(TransferRunStatus(state=RunState.QUEUED), "1", QUEUED),
                run(WORKING.model_copy(update={"state": RunState.TRANSFERRING}), "2"),
                run(ended(RunState.PARTIALLY_SUCCEEDED, failed=1, listed=1), "3"),
            ],
        )
    )
    assert lines == [
        "nightly: LocationNotReady: SmbLocation source is not Ready: KeytabStale.",
        "nightly-1: RunQueued: Waits for nightly-0, which writes to the same folder.",
        "preflight: Succeeded",
        "failed f0: FileLocked",
    ]
    assert told == ["TransferTask 1", "TransferTask 2", "TransferRun 1", "TransferRun 2", "TransferRun 3"]
    assert (end.code, end.name) == (ExitCode.DONE_WITH_FAILURES, "nightly-1")


def test_an_api_server_that_is_away_for_a_while_is_asked_again_and_said_once() -> None:
    away = AwayError("the API server does not answer: refused", ExitCode.NETWORK)
    lines, _, end = watched(Played([task(activeRun="nightly-1")], [run(WORKING), away, away, run(ended(), "2")]))
    assert lines == ["preflight: Succeeded", "the API server does not answer: refused. Retrying."]
    assert end.code == ExitCode.DONE


def test_one_that_does_not_answer_at_all_ends_it() -> None:
    with pytest.raises(ClusterError, match="does not answer"):
        watched(Played([AwayError("the API server does not answer", ExitCode.NETWORK)], []))


def test_a_run_that_is_deleted_gives_way_to_the_next() -> None:
    lines, _, end = watched(
        Played(
            [task(activeRun="nightly-1"), task(activeRun="nightly-2", version="2")],
            [run(WORKING), None, run(ended(), "9", name="nightly-2")],
        )
    )
    assert lines == ["preflight: Succeeded", "nightly-1: the run was deleted."]
    assert end.name == "nightly-2"


@pytest.mark.parametrize(
    ("found", "last", "code"),
    [
        (task(READY, lastRun=LAST), run(ended(), name="nightly-0"), ExitCode.DONE),
        (task(READY, lastRun=LAST), None, ExitCode.CONFIGURATION),
        (task(NOT_READY, STALLED), None, ExitCode.IDENTITY),
    ],
)
def test_where_no_run_will_come_the_last_is_shown(found: Object, last: Object | None, code: ExitCode) -> None:
    lines, _, end = watched(Played([found], [last]))
    assert len(lines) == 1
    assert end.code == code


def test_what_is_waited_for_is_said_once() -> None:
    spec = {"trigger": "", "schedule": {"cron": "* * * * *"}}
    soon = task(READY, nextScheduleTime="2099-01-01T00:00:00Z", spec=spec)
    lines, _, _ = watched(Played([soon, soon, soon, task(activeRun="nightly-1")], [run(ended())]))
    assert len(lines) == 1


@pytest.mark.parametrize(
    ("state", "word"),
    [(RunState.QUEUED, "Waiting"), (RunState.LAUNCHING, "Starting"), (RunState.CANCELLING, "Cancelling")],
)
def test_a_bar_says_what_a_run_does_while_no_agent_works(state: RunState, word: str) -> None:
    shown, out = console(terminal=True, width=100)
    with Bar(shown) as view:
        view.show(TransferRunStatus(state=state))
    assert word in out.getvalue()


def test_each_state_is_a_line_of_json_and_the_summary_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    api = FakeApi(task(activeRun="nightly-1"), run(ended()))
    assert called(api, "watch nightly -o json") == ExitCode.DONE
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["kind"] for line in lines] == ["TransferTask", "TransferRun"]
    assert "managedFields" not in lines[0]["metadata"]
    assert lines[1]["status"]["state"] == "Succeeded"
    for words in ("watch nightly", "watch run/nightly-1"):
        assert called(api, words) == ExitCode.DONE
        said = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
        assert said == rendered(tables.summary("nightly-1", ended(), dry_run=False), 160)


def test_a_run_that_is_not_there_is_told_with_a_similar_name() -> None:
    with pytest.raises(ClusterError, match=r'"nightly-11" not found .*did you mean "nightly-1"'):
        called(FakeApi(run(ended())), "watch run/nightly-11")


def test_a_run_that_is_watched_by_its_name_gives_way_to_no_other() -> None:
    shown, _ = console(terminal=False)
    played = Played([], [run(WORKING), None])
    with Lines(shown) as view:
        end = Watcher(played, "nightly", view, watch.ignore, lambda _: None, run="nightly-1").follow()
    assert end.run is None


def test_words_of_a_newer_operator_are_left_aside() -> None:
    newer = {**run(TransferRunStatus(state=RunState.SUCCEEDED)), "spec": {"taskRef": {"name": "nightly"}, "later": 1}}
    newer["status"] |= {"later": 1, "phases": {"transfer": {"state": "Resting"}}}

    assert watch.status_of(newer).state is RunState.SUCCEEDED
    assert next_run(task(lastRun={"name": "nightly-0", "state": "Archived"})).run is None
