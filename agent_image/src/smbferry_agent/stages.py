"""The three stages of a run with several agents: the survey, which splits the tree, the shards, and the finish."""

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from smbferry_agent.approval import Permission, permission
from smbferry_agent.errors import AgentError
from smbferry_agent.logs import fields
from smbferry_agent.report.api_client import repeated
from smbferry_agent.report.object_status import ObjectStatus
from smbferry_agent.report.run_report import RunReport
from smbferry_agent.report.shards import (
    FinishReport,
    all_went_well,
    pieces_in,
    shard_status,
    shards_in,
    totals,
)
from smbferry_agent.report.sinks import status_fields
from smbferry_agent.report.throttle import INTERVAL, Throttle
from smbferry_agent.report.writer import BackgroundWriter
from smbferry_agent.run import between, engine_options, exit_code, tell_partial_files
from smbferry_agent.run_environment import RunEnvironment
from smbferry_agent.run_watch import RunWatch
from smbferry_api.exit_codes import ExitCode
from smbferry_api.names import FIELD_MANAGER_AGENT
from smbferry_api.reasons import SPEC_INVALID
from smbferry_api.run import ResolvedTask
from smbferry_api.run_status import CutStatus, SplitStatus, TransferRunStatus
from smbferry_engine import Control, Cut, Endpoint, Piece, Shard, SidMap, finish, shards_of, survey, transfer_shard
from smbferry_words.run import PhaseName, PhaseState

_log = logging.getLogger(__name__)
_SECONDS_PER_AGENT: Final = 0.6  # the write interval of all agents of a run together


def run_survey(task: ResolvedTask, environment: RunEnvironment, report: RunReport, run: ObjectStatus) -> ExitCode:
    """Splits the tree and writes the cuts to the run's status, which the later stages need.

    Raises:
        AgentError: the stage failed, or the cuts could not be written.
    """
    count = task.agent.parallelism

    def work(source: Endpoint, destination: Endpoint, sid_map: SidMap) -> tuple[Cut, ...] | None:
        options = engine_options(task, sid_map, dry_run=False, started=environment.started)
        if permission(task, environment, report, (source, destination), options).waits:
            return None
        options = engine_options(task, sid_map, dry_run=True, started=environment.started)
        return survey(source, destination, options, report, count=count, control=environment.control)

    cuts = between(task, environment, report, work)
    if cuts is None:
        return ExitCode.AWAITS_APPROVAL
    report.phase(PhaseName.TRANSFER, PhaseState.RUNNING)
    split = SplitStatus(cuts=tuple(CutStatus(path=cut.shown, offset=cut.offset) for cut in cuts))
    _log.info("split the tree", extra=fields(agents=len(cuts) + 1, wanted=count))
    status = status_fields(TransferRunStatus(split=split))
    repeated(lambda: run.apply(status, f"{FIELD_MANAGER_AGENT}-survey"))
    return ExitCode.DONE


def shards_of_run(manifest: dict[str, Any]) -> list[Shard]:
    """The shards, from the cuts that the survey wrote.

    Raises:
        AgentError: SpecInvalid, the cuts are missing or invalid.
    """
    written = (manifest.get("status") or {}).get("split")
    try:
        split = SplitStatus.model_validate(written)
        return shards_of([Cut.read(cut.path, cut.offset) for cut in split.cuts])
    except ValueError as error:
        raise AgentError(SPEC_INVALID, f"Expected the cuts of the tree in status.split: {error}") from None


class ShardSink:
    """Writes a shard's part of the status; one of the agents also writes the run's counters."""

    def __init__(self, run: ObjectStatus, index: int, manifest: Callable[[], dict[str, Any]]) -> None:
        self._run = run
        self._manager = f"{FIELD_MANAGER_AGENT}-{index}"
        self._manifest = manifest

    def write(self, status: dict[str, Any]) -> None:
        """Applies it with a field manager of this agent, so that the parts of other agents stay."""
        self._run.apply(status, self._manager)
        (own,) = shards_in({"status": status})
        if (together := totals(self._manifest(), own)) is not None:
            self._run.apply(together)


def run_shard(
    task: ResolvedTask, environment: RunEnvironment, run: ObjectStatus, watch: RunWatch, index: int
) -> ExitCode:
    """Copies one shard. Its status lists files that could not be copied; the finish retries and reports them.

    Raises:
        AgentError: the stage failed.
    """
    shards = shards_of_run(watch.manifest)
    if index >= len(shards):
        return ExitCode.DONE
    report, state = RunReport(), PhaseState.RUNNING
    pieces: tuple[Piece, ...] = ()

    def shard_fields() -> dict[str, Any]:
        return status_fields(shard_status(index, report.status(), state, pieces))

    together = agents_at_once(task, len(shards))
    throttle = Throttle(interval=max(INTERVAL, _SECONDS_PER_AGENT * together))
    with BackgroundWriter(ShardSink(run, index, lambda: watch.manifest), shard_fields, throttle) as writer:
        report.changed = writer.notify
        tell_partial_files(environment, report)
        try:
            _, pieces = between(
                task,
                environment,
                report,
                lambda source, destination, sid_map: transfer_shard(
                    source,
                    destination,
                    engine_options(task, sid_map, dry_run=False, started=environment.started, agents=together),
                    report,
                    shard=shards[index],
                    control=_one_of(together, environment.control),
                ),
                records=f"{environment.run_name}-{index}",
            )
            state = PhaseState.SUCCEEDED
        except AgentError:
            state = PhaseState.PENDING if environment.paused() else PhaseState.FAILED
            raise
        finally:
            tell_partial_files(environment, report)
            writer.notify(urgent=True)
    return ExitCode.DONE


def agents_at_once(task: ResolvedTask, shards: int) -> int:
    """How many agents of the run work at a time: limits may permit fewer than there are shards."""
    return min(shards, task.agent.parallelism)


def _one_of(count: int, control: Control) -> Control:
    """The control of one of several agents at once: each gets its share of the run's limit."""
    limit = control.bytes_per_second
    return control if limit is None else replace(control, bytes_per_second=lambda: _share_of(limit(), count))


def _share_of(limit: int | None, count: int) -> int | None:
    return None if limit is None else max(1, limit // count)


def run_finish(
    task: ResolvedTask, environment: RunEnvironment, report: FinishReport, manifest: dict[str, Any]
) -> ExitCode:
    """Completes the run, with the same result as a run by one agent.

    Raises:
        AgentError: the stage failed.
    """
    shards = shards_in(manifest)
    report.begin(manifest, shards)
    well = all_went_well(shards, len(shards_of_run(manifest)))

    def work(source: Endpoint, destination: Endpoint, sid_map: SidMap) -> Permission:
        options = engine_options(task, sid_map, dry_run=False, started=environment.started)
        may = permission(task, environment, report, (source, destination), options)
        if may.waits:
            return may
        try:
            finish(
                source,
                destination,
                options,
                report,
                pieces=pieces_in(shards),
                all_went_well=well,
                approved=may.approved,
                control=environment.control,
            )
        finally:
            tell_partial_files(environment, report)
        return may

    tell_partial_files(environment, report)
    may = between(task, environment, report, work, records=environment.run_name)
    return ExitCode.AWAITS_APPROVAL if may.waits else exit_code(report)
