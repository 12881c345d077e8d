"""What the operator's bench works out by itself."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from lab.bench_operator.__main__ import PARTS, arguments, sharding
from lab.bench_operator.agents import IDENTITY, LOCATION, Agents, Subject, is_over, subjects
from lab.bench_operator.figures import PAGE, Figure, Figures, metrics, page
from lab.bench_operator.kwok import EXITS, HOLDS, node
from lab.bench_operator.runs import Runs
from lab.bench_operator.scene import (
    AGENT_SETTINGS,
    Size,
    checked,
    ended_status,
    identity_spec,
    location_spec,
    priority_of,
    resolved,
    run_by_hand,
    run_of,
    task,
    task_of_the_herd,
)
from lab.support.cluster.api import lines
from lab.support.cluster.pods import most_at_once, server_of
from lab.support.verdicts import IDENTITY_IS_WELL
from tests.support.builders import run_body, snapshot

from smbferry_api.identity import KerberosIdentitySpec, KerberosIdentityStatus
from smbferry_api.location import SmbLocationSpec
from smbferry_api.run import ResolvedTask, TransferRunSpec
from smbferry_api.run_status import TransferRunStatus
from smbferry_api.task import TransferTaskSpec
from smbferry_operator.decide.manifests.jobs import build_transfer_job, is_transfer_job_name
from smbferry_operator.parse import parse_meta

if TYPE_CHECKING:
    from lab.support.cluster.api import Api

FIGURES = [Figure("restart", "s", 60, 12.5), Figure("memory", "MiB", 300, 301)]


def test_a_watch_is_read_line_by_line_however_it_is_cut() -> None:
    assert list(lines([b'{"a"', b":1}\n{", b'"b":2}\n', b"", b"{}"])) == [b'{"a":1}', b'{"b":2}']


def test_series_of_a_metric_are_summed() -> None:
    text = "# TYPE smbferry_ready gauge\n" + "".join(f'smbferry_ready{{name="{n}"}} {n % 2}\n' for n in range(5))
    assert metrics(text) == {"smbferry_ready": 2.0}


def test_a_figure_is_reached_at_most_at_what_is_wanted() -> None:
    assert [figure.reached for figure in FIGURES] == [True, False]


def test_the_page_gets_the_figures_between_its_markers_and_keeps_the_rest() -> None:
    once = page(PAGE.read_text(), FIGURES, "5,000 tasks.")
    assert "| restart | at most 60 s | 12.5 s |" in once
    assert page(once, FIGURES, "5,000 tasks.") == once
    assert once.split("<!-- bench-operator: begin")[0] == PAGE.read_text().split("<!-- bench-operator: begin")[0]


def test_a_page_without_markers_is_left_alone() -> None:
    with pytest.raises(ValueError, match="not found"):
        page("no markers", FIGURES, "")


META = {"name": "task-7", "uid": "uid-7", "creationTimestamp": "2026-11-21T12:00:00Z", "namespace": "bench"}


def test_the_scene_is_made_of_objects_that_smbferry_understands() -> None:
    due = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
    for made in (task("t", 7, folder="new", exit_code=13), task_of_the_herd(20, 20, due), task("t", 1, hold=True)):
        TransferTaskSpec.model_validate(made["spec"])
    KerberosIdentitySpec.model_validate(identity_spec("id-1"))
    SmbLocationSpec.model_validate(location_spec("src-1", "work-1.corp.example.com", "id-1"))
    TransferRunSpec.model_validate(run_by_hand("r", "t")["spec"])
    status = KerberosIdentityStatus.model_validate(checked(IDENTITY_IS_WELL))
    assert {condition.type for condition in status.conditions} == set(IDENTITY_IS_WELL)


def test_an_ended_run_is_what_the_operator_leaves_and_its_job_is_its_own() -> None:
    owner = task("task-7", 7) | {"metadata": META}
    taken = resolved(owner, 7, "work-7.corp.example.com", "id-7")
    run = run_of(owner, "task-7-20260101-0200", "2026-01-01T02:00:00Z")
    run["metadata"] |= {"uid": "uid-run", "creationTimestamp": "2026-01-01T02:00:00Z", "namespace": "bench"}
    meta = parse_meta(run)
    job = build_transfer_job(meta, ResolvedTask.model_validate(taken), 0, AGENT_SETTINGS)

    assert meta.controller_uid == "uid-7"
    assert is_transfer_job_name(meta, job["metadata"]["name"], 0)
    status = TransferRunStatus.model_validate(ended_status(taken, job["metadata"]["name"]))
    assert status.state is not None
    assert status.state.ended
    assert server_of(job) == "work-7.corp.example.com:445"


def test_the_herd_is_due_at_one_minute_on_all_servers_and_every_tenth_is_urgent() -> None:
    due = datetime(2026, 11, 21, 14, 5, tzinfo=UTC)
    herd = [task_of_the_herd(n, 20, due) for n in range(1000)]

    assert {made["spec"]["schedule"]["cron"] for made in herd} == {"5 14 * * *"}
    assert len({made["spec"]["destination"]["locationRef"]["name"] for made in herd}) == 20
    assert len({made["spec"]["destination"]["path"] for made in herd}) == 1000
    assert sum(made["spec"]["priority"] > 0 for made in herd) == 100
    assert [priority_of(name) for name in ("herd-20", "herd-21", "task-20")] == [10, 0, 0]


def test_agents_that_end_otherwise_or_never_find_a_node() -> None:
    labels = [node(number)["metadata"]["labels"] for number in range(10)]
    asked = [task("t", 1, exit_code=code)["spec"]["agent"]["nodeSelector"] for code in (3, 13)]
    asked.append(task("t", 1, hold=True)["spec"]["agent"]["nodeSelector"])
    for selector in asked:
        assert any(selector.items() <= label.items() for label in labels)
    assert HOLDS not in EXITS


@pytest.mark.parametrize("scale", [1.0, 0.5, 0.02, 0.001])
def test_a_trial_is_smaller_and_has_a_queue_and_a_line_too(scale: float) -> None:
    size = Size().scaled(scale)
    assert size.queued <= size.tasks <= Size().tasks
    assert size.herd >= 2 * size.servers * size.limit
    assert (size == Size()) is (scale == 1)


def check_job(component: str, *arguments: str) -> dict[str, Any]:
    labels = {"app.kubernetes.io/component": component}
    metadata = {"labels": labels, "annotations": {"smbferry.io/owner-name": "it"}}
    return {"metadata": metadata, "spec": {"template": {"spec": {"containers": [{"args": list(arguments)}]}}}}


@pytest.mark.parametrize(
    ("job", "found"),
    [
        (check_job("check-location", "check-location", "--name", "it"), [Subject(LOCATION, "it")]),
        (check_job("check-identity", "check-identity", "--name", "it"), [Subject(IDENTITY, "it")]),
        (
            check_job("check-identity", "check-identity", "--location=a=uid-a", "--location=b=uid-b"),
            [Subject(IDENTITY, "it"), Subject(LOCATION, "a"), Subject(LOCATION, "b")],
        ),
        (check_job("check-identity", "--only-locations", "--location=a=uid-a"), [Subject(LOCATION, "a")]),
    ],
)
def test_a_check_is_of_one_object_or_of_an_identity_and_its_locations(job: Any, found: list[Subject]) -> None:
    assert list(subjects(job)) == found


def test_jobs_are_noted_when_they_come_and_when_they_end() -> None:
    agents = Agents(NOBODY, "bench")
    run = run_body("run", uid="uid-run")
    job = build_transfer_job(parse_meta(run), ResolvedTask.model_validate(snapshot()), 0, AGENT_SETTINGS)
    over = {**job, "status": {"conditions": [{"type": "Complete", "status": "True"}]}}
    for now, (type_, seen) in enumerate((("ADDED", job), ("MODIFIED", job), ("MODIFIED", over), ("DELETED", over))):
        agents.note(type_, seen, now)
    agents.note("ADDED", check_job("check-identity"), 9.0)

    assert [change.begins for change in agents.changes] == [True, True, False, False]
    assert {change.run for change in agents.changes} == {"run"}
    assert agents.seen == {"nightly": 0}
    assert agents.check_jobs == [9.0]
    assert (is_over(job), is_over(over)) == (False, True)


def test_who_stands_in_line_is_noted_since_when_and_for_which_server() -> None:
    runs = Runs(NOBODY, "bench")
    queue = {
        "state": "Queued",
        "queue": {"position": 3, "length": 9, "waitingFor": "FileServer herd-3.corp.example.com"},
    }
    for now, name, status in ((1.0, "a", {}), (2.0, "a", queue), (3.0, "a", queue), (4.0, "b", {"state": "Succeeded"})):
        runs.note("MODIFIED", run_body(name, status, task_name=f"herd-{'20' if name == 'a' else '21'}"), now)

    (waiter,) = runs.waiters
    assert (waiter.run, waiter.server, waiter.since) == ("a", "herd-3.corp.example.com:445", 2.0)
    assert waiter.turn[0] == -10, "every tenth is urgent"
    assert runs.queued == 1
    assert not runs.are_over("herd-", 2)
    runs.note("MODIFIED", run_body("a", {"state": "Failed"}, task_name="herd-20"), 5.0)
    assert runs.are_over("herd-", 2)
    assert not runs.are_over("herd-", 3)


def test_a_part_can_be_asked_for_and_an_unknown_one_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert arguments([]).parts == PARTS
    assert arguments(["--parts", "shards,work"]).parts == ("work", "shards")
    for wrong in (["--parts", "everything"], ["--scale", "2"], ["--scale", "0"]):
        with pytest.raises((SystemExit, argparse.ArgumentError)):
            arguments(wrong)
    assert "expected work, checks, shards; got everything" in capsys.readouterr().err


def test_no_figures_are_not_good_enough() -> None:
    figures = Figures()
    assert [figures.reached] == [False]
    sharding(figures)
    assert [figures.reached] == [True]
    figures.add("memory", "MiB", 300, 301)
    assert [figure.reached for figure in figures.found][-1] is False
    assert [figures.reached] == [False]


def pod(begins: int, ends: int) -> dict[str, Any]:
    container = {"state": {"terminated": {"finishedAt": f"2026-11-21T12:00:{ends:02}Z"}}}
    return {"status": {"startTime": f"2026-11-21T12:00:{begins:02}Z", "containerStatuses": [container]}}


def test_how_many_pods_worked_at_once_is_read_from_their_times() -> None:
    assert most_at_once([pod(1, 5), pod(2, 3), pod(5, 9), pod(6, 8)]) == 2
    assert most_at_once([pod(1, 5), pod(2, 6), pod(3, 4)]) == 3


NOBODY: Api = None  # type: ignore[assignment]  # nothing is asked
