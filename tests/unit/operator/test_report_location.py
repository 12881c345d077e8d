"""The report's location is one end more: waited for, resolved, mounted, and kept apart from the data."""

from typing import Any

import pytest
from tests.support.builders import checked_identity, checked_location, location, task

from smbferry_api.agent_contract import SPOOL_DIR, Side, keytab_dir
from smbferry_api.snapshot import environment_of, read_snapshot, text_in
from smbferry_operator.decide.manifests.jobs import build_transfer_job
from smbferry_operator.decide.observation import Ends
from smbferry_operator.decide.resolve import overlap_obstacle, readiness_obstacle, resolve
from smbferry_operator.decide.settings import AgentSettings
from smbferry_operator.model import Key, Kind, Location, Task
from smbferry_operator.observe.cache import references

SETTINGS = AgentSettings(image="smbferry/agent:1")


def reporting(path: str | None = "/2026") -> Task:
    report: dict[str, Any] = {"locationRef": {"name": "reports"}}
    return task(report=report if path is None else {**report, "path": path})


def ends(report: Location | None) -> Ends:
    known = checked_identity()
    return Ends(checked_location("src"), checked_location("dst"), known, known, report, known if report else None)


def test_a_task_refers_to_the_location_of_its_report() -> None:
    body = {
        "metadata": {"name": "nightly", "namespace": "team"},
        "spec": reporting().spec.model_dump(mode="json", by_alias=True),
    }
    assert Key(Kind.LOCATION, "team", "reports") in set(references(Kind.TASK, body))


@pytest.mark.parametrize(
    ("report", "reason", "said"),
    [
        (checked_location("reports"), None, ""),
        (None, "LocationNotFound", "There is no SmbLocation reports (report)"),
        (location("reports"), "LocationNotReady", "Waiting for the check of SmbLocation reports (report)"),
    ],
)
def test_it_is_waited_for_like_the_others(report: Location | None, reason: str | None, said: str) -> None:
    obstacle = readiness_obstacle(reporting().spec.location_names, ends(report))
    assert (obstacle.reason.name if obstacle else None) == reason
    assert obstacle is None or said in obstacle.message


def test_without_a_report_nobody_looks_for_its_location() -> None:
    assert readiness_obstacle(task().spec.location_names, ends(None)) is None
    resolved = resolve(task(), ends(None))
    assert resolved is not None
    assert resolved.report_to is None


@pytest.mark.parametrize("choice", ["None", "Latest", "Required", "2026-11-21T12:00:00Z"])
def test_what_a_run_works_by_has_the_tasks_snapshot(choice: str) -> None:
    resolved = resolve(task(source={"locationRef": {"name": "src"}, "snapshot": choice}), ends(None))
    assert resolved is not None
    assert read_snapshot(text_in(environment_of(resolved))).source_snapshot == choice


def test_it_is_not_resolved_before_it_is_there() -> None:
    assert resolve(reporting(), ends(None)) is None


def test_the_agent_has_its_keytab_and_room_for_the_records() -> None:
    resolved = resolve(reporting(), ends(checked_location("reports")))
    assert resolved is not None
    job = build_transfer_job(reporting().meta, resolved, 0, SETTINGS)
    mounts = {m["mountPath"] for m in job["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]}
    assert {keytab_dir(Side.REPORT), SPOOL_DIR} <= mounts


@pytest.mark.parametrize(
    ("share", "path", "side"),
    [("src", "/", "source"), ("dst", "/below", "destination"), ("dst", None, "destination"), ("reports", "/", None)],
)
def test_a_report_among_the_data_is_refused(share: str, path: str | None, side: str | None) -> None:
    resolved = resolve(reporting(path), ends(checked_location("reports", share=share)))
    assert resolved is not None
    obstacle = overlap_obstacle(resolved)
    assert (obstacle.reason.name if obstacle else None) == ("ReportInsideTransfer" if side else None)
    assert obstacle is None or f"the {side} //" in obstacle.message
