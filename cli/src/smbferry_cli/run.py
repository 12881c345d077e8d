"""Runs one task from files with the agent's own preflight, engine and report."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from smbferry_agent.errors import AgentError
from smbferry_agent.report import words
from smbferry_agent.report.run_report import RunReport
from smbferry_agent.report.sinks import status_fields
from smbferry_agent.run import Surroundings, run_transfer
from smbferry_api.agent_contract import Side
from smbferry_api.exit_codes import ExitCode
from smbferry_api.names import API_VERSION
from smbferry_api.reasons import RUN_CANCELLED
from smbferry_api.run import ResolvedTask
from smbferry_api.run_status import PhaseState, TransferRunStatus
from smbferry_cli.cancel import Cancel, Interrupted
from smbferry_cli.exits import state_of
from smbferry_cli.manifests import ManifestError, Manifests
from smbferry_cli.progress import View
from smbferry_cli.workspace import Workspace
from smbferry_engine import Counters


@dataclass(frozen=True, slots=True)
class Ended:
    """A run that is over."""

    task: str
    dry_run: bool
    status: TransferRunStatus
    code: ExitCode
    to_delete: int

    def manifest(self) -> dict[str, Any]:
        """A TransferRun with its status, as `kubectl get -o json` would show it."""
        return {
            "apiVersion": API_VERSION,
            "kind": "TransferRun",
            "metadata": {"name": self.task},
            "spec": {"taskRef": {"name": self.task}, "dryRun": self.dry_run},
            "status": status_fields(self.status),
        }


class CountingReport(RunReport):
    """The agent's report; it also keeps what a dry run counts and no status has a field for."""

    to_delete: int = 0

    def progress(self, counters: Counters) -> None:
        """The counters as they stand."""
        self.to_delete = counters.files.to_delete + counters.directories.to_delete
        RunReport.progress(self, counters)


def chosen_task(manifests: Manifests, name: str | None) -> ResolvedTask:
    """The task of that name, or the only one.

    Raises:
        ManifestError: there is no such task, there are several, or something that it names is not in the files.
    """
    if name is None:
        have = sorted(manifests.tasks)
        if len(have) != 1:
            found = ", ".join(have) or "none"
            raise ManifestError(f"expected one TransferTask in the files, found: {found}; choose one by --task NAME")
        name = have[0]
    return manifests.resolve(name)


def run(
    task: ResolvedTask, manifests: Manifests, workspace: Workspace, view: View, cancel: Cancel, *, dry_run: bool
) -> Ended:
    """Transfers, and tells how it ended: every failure but a bug is in the status."""
    report = CountingReport()
    sides = zip((Side.SOURCE, Side.DESTINATION, Side.REPORT), task.ends, strict=False)
    began = datetime.now(UTC)
    around = Surroundings(
        mounts={side: workspace.mount(end.identity.spec, manifests) for side, end in sides},
        scratch=workspace.folder / "tickets",
        cancelled=cancel.cancelled,
        run_name=f"{task.name}-{began:%Y%m%dT%H%M%SZ}",
        spool=workspace.folder,
    )

    def changed(*, urgent: bool) -> None:
        status = report.status()
        if urgent and status.phases and (p := status.phases.preflight) and p.state is PhaseState.SUCCEEDED:
            cancel.from_now_on_orderly()
        view.show(status)

    report.changed = changed
    try:
        with cancel.droppable():
            code = run_transfer(task, around, report, dry_run=dry_run)
    except AgentError as error:
        code = error.exit_code
    except Interrupted:
        report.failed(AgentError(RUN_CANCELLED, "The run was cancelled before any data moved."))
        code = ExitCode.CANCELLED
    return Ended(task.name, dry_run, _whole(report, code, began), code, report.to_delete)


def _whole(report: RunReport, code: ExitCode, began: datetime) -> TransferRunStatus:
    """The agent's part of the status and, as nobody else is there to write it, the operator's."""
    ended = datetime.now(UTC)
    return report.status().model_copy(
        update={
            "state": state_of(code),
            "start_time": began,
            "completion_time": ended,
            "duration": words.duration((ended - began).total_seconds()),
        }
    )
