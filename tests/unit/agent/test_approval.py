"""An agent copies only what nobody needs to approve, or what a person has approved (ADR 53)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.api_server import UID, ApiServer
from tests.support.builders import snapshot

from smbferry_agent import approval, stages
from smbferry_agent import run as run_module
from smbferry_agent.report import api_client
from smbferry_agent.report.api_client import ObjectKey
from smbferry_agent.report.plan_record import ClusterPlanRecord
from smbferry_agent.report.run_report import RunReport
from smbferry_agent.report.shards import FinishReport
from smbferry_agent.run import run_transfer
from smbferry_agent.run_environment import Identities, RunEnvironment
from smbferry_api.exit_codes import ExitCode
from smbferry_api.plan_status import PlanStatus, plan_changes, plan_digest
from smbferry_api.run import ResolvedTask
from smbferry_api.run_status import RunState
from smbferry_engine import Approved, Control, Counters, Options, Outline, PlannedAmount, SidMap
from smbferry_engine.tree.removals import Removals

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

KEY = ObjectKey("TransferRun", "ns", "run")


class Record:
    """A `PlanRecord` in memory."""

    def __init__(self, plan: PlanStatus | None = None) -> None:
        self.plan = plan

    def read(self) -> PlanStatus | None:
        return self.plan

    def write(self, plan: PlanStatus) -> None:
        self.plan = PlanStatus.model_validate(plan.model_dump(mode="json", by_alias=True))  # its way through the API


class Engine:
    """The engine as an agent calls it: what it would find, and what it was asked to do."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.found = Outline()
        self.outlined: list[tuple[Options, datetime | None]] = []
        self.copied: list[tuple[Options, Approved | None]] = []
        monkeypatch.setattr("smbferry_agent.run._prepare", lambda side, *_: side)
        monkeypatch.setattr("smbferry_agent.run.in_snapshot", lambda end, *_: end)
        monkeypatch.setattr(approval, "outline", self._outline)
        monkeypatch.setattr(run_module, "transfer", self._copy)
        monkeypatch.setattr(stages, "finish", self._copy)

    def finds(self, *, delete: int = 0, existing: int = 0, names: str = "", **more: Any) -> None:
        self.found = Outline(
            deleted=PlannedAmount(files=delete),
            existing=existing,
            deletions=names or f"of {delete}",
            approved=Approved.of(Removals()),
            **more,
        )

    def _outline(
        self, _source: object, _destination: object, options: Options, observer: Any, *, since: Any, **_: object
    ) -> Outline:
        observer.phase("prepare", "Running")
        observer.progress(Counters())
        observer.failure(None)
        observer.record(None)
        observer.phase("prepare", "Succeeded")
        self.outlined.append((options, since))
        return self.found

    def _copy(
        self, _source: object, _destination: object, options: Options, _report: object, *, approved: Any, **_: object
    ) -> None:
        self.copied.append((options, approved))


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    return Engine(monkeypatch)


def run(
    record: Record,
    report: RunReport | None = None,
    *,
    dry_run: bool = False,
    task: dict[str, Any] | None = None,
    **asked: Any,
) -> ExitCode:
    environment = RunEnvironment(Identities({}, Path("/nowhere")), Control(), plans=record)
    taken = ResolvedTask.model_validate({**snapshot(approval={"expiry": "24h", **asked}), **(task or {})})
    return run_transfer(taken, environment, report or RunReport(), dry_run=dry_run)


def planned(engine: Engine, **found: Any) -> Record:
    """The record of a plan that waits."""
    engine.finds(**found)
    record = Record()
    assert run(record) is ExitCode.AWAITS_APPROVAL
    engine.copied.clear()
    return record


def digest_of(record: Record) -> str:
    assert record.plan is not None
    assert record.plan.digest == plan_digest(record.plan)
    return record.plan.digest


# --- Whether a plan needs approval ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "first_run", "waits"),
    [
        pytest.param({}, False, False, id="nothing to delete"),
        pytest.param({"existing": 9}, False, False, id="a later run, nothing to delete"),
        pytest.param({"delete": 1, "existing": 9}, False, True, id="something to delete"),
        pytest.param({}, True, False, id="the first run to an empty destination"),
        pytest.param({"existing": 1}, True, True, id="the first run to one that is not empty"),
    ],
)
def test_which_plans_wait(engine: Engine, found: dict[str, Any], first_run: bool, waits: bool) -> None:
    engine.finds(**found)
    record = Record()
    code = run(record, first_run=first_run)

    assert (code is ExitCode.AWAITS_APPROVAL) == waits
    assert len(engine.copied) == (not waits)
    assert record.plan is not None
    assert record.plan.needs_approval == waits


def test_without_approval_nothing_is_planned_and_nothing_limits_the_deletions(engine: Engine) -> None:
    environment = RunEnvironment(Identities({}, Path("/nowhere")), Control(), plans=Record())
    run_transfer(ResolvedTask.model_validate(snapshot()), environment, RunReport(), dry_run=False)

    assert engine.outlined == []
    assert [approved for _, approved in engine.copied] == [None]


def test_a_dry_run_is_not_planned(engine: Engine) -> None:
    assert run(Record(), dry_run=True) is ExitCode.DONE
    assert engine.outlined == []


def test_a_run_that_needs_no_approval_may_delete_only_what_its_plan_has(engine: Engine) -> None:
    engine.finds()
    run(Record())

    assert [approved for _, approved in engine.copied] == [engine.found.approved]


# --- While it waits ---------------------------------------------------------------------------------------------------


def test_the_plan_stands_in_the_report_and_the_status_says_that_it_is_only_a_plan(engine: Engine) -> None:
    engine.finds(delete=3)
    report, record = RunReport(), Record()
    run(record, report)

    assert report.outcome() is RunState.QUEUED
    assert report.summary()["plan"]["digest"] == digest_of(record)
    assert "plan" not in report.status().model_fields_set
    status = report.status()
    assert status.progress is not None
    assert status.progress.percent == "plan"
    assert status.failures == (), "the copy reports failures"


@pytest.mark.fault(232)
def test_nobody_knows_the_digest_before_the_plan_is_made(engine: Engine) -> None:
    first, second = (planned(engine, delete=3) for _ in range(2))
    assert first.plan is not None
    assert second.plan is not None

    assert digest_of(first) != digest_of(second)
    assert plan_changes(first.plan, second.plan) == ()


# --- After the approval -----------------------------------------------------------------------------------------------


def test_the_approved_plan_is_carried_out_if_it_is_still_the_same(engine: Engine) -> None:
    record = planned(engine, delete=3)
    before = record.plan
    assert run(record, plan=digest_of(record)) is ExitCode.DONE

    assert [approved for _, approved in engine.copied] == [engine.found.approved]
    assert record.plan is before, "the plan that was approved stays in the status"
    assert before is not None
    assert before.planned_at is not None
    since = engine.outlined[-1][1]
    assert since is not None
    assert (before.planned_at - since).total_seconds() == 600


def test_an_approved_plan_confirms_the_mirror(engine: Engine) -> None:
    record = planned(engine, delete=3)
    run(record, plan=digest_of(record), task={"unconfirmed": "word"})
    engine.finds()
    run(Record(), task={"unconfirmed": "word"})

    assert [options.unconfirmed for options, _ in engine.copied] == ["", "word"]


def test_the_effect_of_the_sid_map_is_counted_by_the_first_plan_only(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen: Any = object()
    monkeypatch.setattr("smbferry_agent.preflight.sid_map.SidMapSource.read", lambda *_: chosen)
    record = planned(engine, delete=3)
    run(record, plan=digest_of(record))

    assert [options.sid_map for options, _ in engine.outlined] == [chosen, SidMap()]


@pytest.mark.fault(230)
@pytest.mark.parametrize(
    ("now", "said"),
    [
        pytest.param({"delete": 103}, "it would delete 103 files and folders instead of 3", id="more to delete"),
        pytest.param({"delete": 3, "names": "others"}, "instead of 3 others", id="other names"),
        pytest.param({"delete": 2}, "instead of 3", id="fewer, which may be others"),
        pytest.param({"delete": 3, "destination_id": 2}, "the destination is another folder", id="another volume"),
        pytest.param(
            {"delete": 3, "newer": PlannedAmount(files=1)},
            "newer at the destination instead of at most 0",
            id="newer ones",
        ),
        pytest.param(
            {"delete": 3, "replaced": PlannedAmount(files=1)},
            "has not changed instead of at most 0",
            id="more to replace",
        ),
    ],
)
def test_nothing_is_copied_if_the_plan_has_changed_and_the_new_plan_waits(
    engine: Engine, now: dict[str, Any], said: str
) -> None:
    record = planned(engine, delete=3, destination_id=1)
    old = digest_of(record)
    engine.finds(**{"destination_id": 1, **now})

    assert run(record, plan=old) is ExitCode.AWAITS_APPROVAL
    assert engine.copied == []
    assert record.plan is not None
    assert said in "; ".join(record.plan.changes)
    assert digest_of(record) != old


@pytest.mark.fault(232)
def test_a_plan_that_was_changed_after_the_approval_is_no_approved_one(engine: Engine) -> None:
    record = planned(engine, delete=3)
    old = digest_of(record)
    assert record.plan is not None
    record.plan = record.plan.model_copy(update={"deletions": "of 103"})
    engine.finds(delete=103)

    assert run(record, plan=old) is ExitCode.AWAITS_APPROVAL
    assert engine.copied == []


@pytest.mark.fault(232)
@pytest.mark.parametrize("deletions", ["of 0", "of 3"])
@pytest.mark.parametrize("approved", ["", "abcd2345" * 4])
def test_a_forged_record_that_says_that_no_approval_is_needed_lets_nothing_be_deleted(
    engine: Engine, deletions: str, approved: str
) -> None:
    record = planned(engine, delete=3)
    assert record.plan is not None
    record.plan = record.plan.model_copy(update={"needs_approval": False, "deletions": deletions})

    assert run(record, plan=approved) is ExitCode.AWAITS_APPROVAL
    assert engine.copied == []


@pytest.mark.fault(232)
def test_an_agent_that_does_not_find_the_approved_plan_goes_on_with_no_other(engine: Engine) -> None:
    record = planned(engine, delete=3)
    old = digest_of(record)
    record.plan = None
    engine.finds()

    assert run(record, plan=old) is ExitCode.AWAITS_APPROVAL
    assert engine.copied == []


@pytest.mark.fault(234)
def test_an_agent_that_follows_a_stopped_one_goes_on_with_what_that_has_copied(engine: Engine) -> None:
    engine.finds(existing=0)
    record = Record()
    run(record, first_run=True)
    engine.finds(existing=40)

    assert run(record, first_run=True) is ExitCode.DONE
    assert len(engine.copied) == 2


@pytest.mark.fault(234)
def test_the_finish_of_several_agents_deletes_within_the_approved_plan(engine: Engine) -> None:
    record = planned(engine, delete=3)
    environment = RunEnvironment(Identities({}, Path("/nowhere")), Control(), plans=record)
    taken = ResolvedTask.model_validate(snapshot(approval={"plan": digest_of(record)}))
    manifest = {"status": {"split": {"cuts": []}, "shards": []}}

    assert stages.run_finish(taken, environment, FinishReport(), manifest) is ExitCode.DONE
    assert [approved for _, approved in engine.copied] == [engine.found.approved]
    engine.finds(delete=4)
    assert stages.run_finish(taken, environment, FinishReport(), manifest) is ExitCode.AWAITS_APPROVAL


def test_the_survey_of_several_agents_waits_before_it_splits_the_tree(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "survey", lambda *_, **__: pytest.fail("the tree was split"))
    engine.finds(delete=3)
    environment = RunEnvironment(Identities({}, Path("/nowhere")), Control(), plans=Record())
    taken = ResolvedTask.model_validate(snapshot(approval={}, agent={"parallelism": 4}))
    run_: Any = None

    assert stages.run_survey(taken, environment, RunReport(), run_) is ExitCode.AWAITS_APPROVAL


# --- The record -------------------------------------------------------------------------------------------------------


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    monkeypatch.setattr(api_client, "_PAUSE", 0.001)
    with ApiServer(tmp_path) as running:
        metadata = {"name": "run", "uid": UID, "resourceVersion": "1"}
        running.objects[KEY.path] = {"metadata": metadata, "spec": {}, "status": {"state": "Preparing"}}
        yield running


def test_a_plan_is_recorded_in_the_status_with_a_field_manager_of_its_own(api: ApiServer, engine: Engine) -> None:
    record = ClusterPlanRecord(api.status_of(KEY))
    assert record.read() is None
    made = planned(engine, delete=3).plan
    assert made is not None
    record.write(made)
    ((path, body),) = [(path, body) for verb, path, body in api.requests if verb == "PATCH"]
    api.objects[KEY.path]["status"] = body["status"]

    assert "fieldManager=smbferry-agent-plan" in path
    assert record.read() == made


def test_an_unreadable_plan_counts_as_none(api: ApiServer) -> None:
    api.objects[KEY.path]["status"]["plan"] = {"existing": "many"}

    assert ClusterPlanRecord(api.status_of(KEY)).read() is None
