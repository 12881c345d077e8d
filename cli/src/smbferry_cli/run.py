"""Runs one task from files with the agent's preflight, engine and report."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from smbferry_agent.errors import AgentError
from smbferry_agent.report import words
from smbferry_agent.report.run_report import RunReport
from smbferry_agent.report.sinks import status_fields
from smbferry_agent.report.survey_report import SurveyReport, survey_status
from smbferry_agent.run import run_transfer
from smbferry_agent.run_environment import Identities, RunEnvironment
from smbferry_agent.survey import run_source_survey
from smbferry_api.agent_contract import Side
from smbferry_api.exit_codes import ExitCode
from smbferry_api.names import API_VERSION
from smbferry_api.reasons import RUN_CANCELLED
from smbferry_api.run import ResolvedTask
from smbferry_api.run_status import TransferRunStatus
from smbferry_cli.cancel import Cancel, Interrupted
from smbferry_cli.exits import state_of
from smbferry_cli.manifests import ManifestError, Manifests
from smbferry_cli.progress import View
from smbferry_cli.workspace import Workspace
from smbferry_engine import Control, Counters, Handover
from smbferry_words.run import PhaseState


@dataclass(frozen=True, slots=True)
class Ended:
    """A finished run; ``kind`` are the fields of its spec that say what kind of run it was."""

    task: str
    dry_run: bool
    status: TransferRunStatus
    code: ExitCode
    to_delete: int = 0
    kind: Mapping[str, bool] = field(default_factory=dict)

    def manifest(self) -> dict[str, Any]:
        """Returns a TransferRun with its status, like `kubectl get -o json`."""
        return {
            "apiVersion": API_VERSION,
            "kind": "TransferRun",
            "metadata": {"name": self.task},
            "spec": {"taskRef": {"name": self.task}, "dryRun": self.dry_run, **self.kind},
            "status": status_fields(self.status),
        }


class CountingReport(RunReport):
    """The agent's report, plus the number of deletions that a dry run counts, which the status does not contain."""

    to_delete: int = 0

    def progress(self, counters: Counters) -> None:
        """Updates the counters."""
        self.to_delete = counters.files.to_delete + counters.directories.to_delete
        RunReport.progress(self, counters)


def chosen_task(manifests: Manifests, name: str | None) -> ResolvedTask:
    """Returns the task with that name, or the only task.

    Raises:
        ManifestError: the task does not exist, there are several, or a referenced object is not in the files.
    """
    if name is None:
        have = sorted(manifests.tasks)
        if len(have) != 1:
            found = ", ".join(have) or "none"
            raise ManifestError(f"expected one TransferTask in the files, found: {found}; choose one with --task NAME")
        name = have[0]
    return manifests.resolve(name)


def run(
    task: ResolvedTask, manifests: Manifests, workspace: Workspace, view: View, cancel: Cancel, *, dry_run: bool
) -> Ended:
    """Runs the transfer and returns the result. All failures except bugs are in the status."""
    report = CountingReport()

    def work(environment: RunEnvironment) -> ExitCode:
        return run_transfer(task, environment, report, dry_run=dry_run)

    status, code = _carry_out(task, _Desk(manifests, workspace, view, cancel), report, work)
    return Ended(task.name, dry_run, status, code, report.to_delete)


def survey(
    task: ResolvedTask,
    manifests: Manifests,
    workspace: Workspace,
    view: View,
    cancel: Cancel,
    *,
    measure_destination: bool,
) -> Ended:
    """Surveys the task's source and returns the result. All failures except bugs are in the status."""
    report = SurveyReport()

    def work(environment: RunEnvironment) -> ExitCode:
        return run_source_survey(task, environment, report, measure_destination=measure_destination)

    status, code = _carry_out(task, _Desk(manifests, workspace, view, cancel), report, work)
    if report.survey is not None:
        status = status.model_copy(update={"survey": survey_status(report.survey)})
    kind = {"survey": True, "measureDestination": measure_destination}
    return Ended(task.name, dry_run=False, status=status, code=code, kind=kind)


@dataclass(frozen=True, slots=True)
class _Desk:
    """What a run from files needs besides its task."""

    manifests: Manifests
    workspace: Workspace
    view: View
    cancel: Cancel


def _carry_out(
    task: ResolvedTask, desk: _Desk, report: RunReport, work: Callable[[RunEnvironment], ExitCode]
) -> tuple[TransferRunStatus, ExitCode]:
    workspace, cancel = desk.workspace, desk.cancel
    sides = zip((Side.SOURCE, Side.DESTINATION, Side.REPORT), task.ends, strict=False)
    began = datetime.now(UTC)
    mounts = {side: workspace.mount(end.identity.spec, desk.manifests) for side, end in sides}
    environment = RunEnvironment(
        Identities(mounts, scratch=workspace.folder / "tickets"),
        Control(cancel.cancelled, handover=Handover()),
        started=began,
        run_name=f"{task.name}-{began:%Y%m%dT%H%M%SZ}",
        spool=workspace.folder,
        sid_map=workspace.mount_sid_map(task.options.sid_map, desk.manifests),
    )

    def changed(*, urgent: bool) -> None:
        status = report.status()
        if urgent and status.phases and (p := status.phases.preflight) and p.state is PhaseState.SUCCEEDED:
            cancel.from_now_on_orderly()
        desk.view.show(status)

    report.changed = changed
    try:
        with cancel.droppable():
            code = work(environment)
    except AgentError as error:
        code = error.exit_code
    except Interrupted:
        report.failed(AgentError(RUN_CANCELLED, "The run was cancelled before any data moved."))
        code = ExitCode.CANCELLED
    return _whole(report, code, began), code


def _whole(report: RunReport, code: ExitCode, began: datetime) -> TransferRunStatus:
    """Returns the agent's part of the status and, because there is no operator, the operator's part."""
    ended = datetime.now(UTC)
    return report.status().model_copy(
        update={
            "state": state_of(code),
            "start_time": began,
            "completion_time": ended,
            "duration": words.duration((ended - began).total_seconds()),
        }
    )
