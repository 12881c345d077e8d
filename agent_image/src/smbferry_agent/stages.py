"""The three stages of a run by several agents: a survey that splits the tree, the shards, and the finish."""

import logging
from collections.abc import Callable
from typing import Any, Final

from smbferry_agent.errors import AgentError
from smbferry_agent.logs import fields
from smbferry_agent.report.api_client import ApiClient, ObjectKey, repeated
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
from smbferry_agent.run import Surroundings, between, engine_options, exit_code
from smbferry_agent.run_watch import RunWatch
from smbferry_api.exit_codes import ExitCode
from smbferry_api.names import FIELD_MANAGER_AGENT
from smbferry_api.reasons import SPEC_INVALID
from smbferry_api.run import ResolvedTask
from smbferry_api.run_status import CutStatus, PhaseName, PhaseState, SplitStatus, TransferRunStatus
from smbferry_engine import Cut, Piece, Shard, finish, shards_of, survey, transfer_shard

_log = logging.getLogger(__name__)
_SECONDS_PER_AGENT: Final = 0.6  # all agents of a run together write no more often than this


def run_survey(
    task: ResolvedTask, around: Surroundings, report: RunReport, client: ApiClient, key: ObjectKey
) -> ExitCode:
    """Splits the tree and writes the cuts down in the run's status; without that there is nothing to go on with.

    Raises:
        AgentError: it failed as a whole, or the cuts could not be written.
    """
    count = task.agent.parallelism
    cuts = between(
        task,
        around,
        report,
        lambda source, destination: survey(
            source,
            destination,
            engine_options(task, dry_run=True),
            report,
            count=count,
            cancelled=around.cancelled,
        ),
    )
    report.phase(PhaseName.TRANSFER, PhaseState.RUNNING)
    split = SplitStatus(cuts=tuple(CutStatus(path=cut.shown, offset=cut.offset) for cut in cuts))
    _log.info("the tree is split", extra=fields(agents=len(cuts) + 1, wanted=count))
    told = status_fields(TransferRunStatus(split=split))
    repeated(lambda: client.apply_status(key, told, f"{FIELD_MANAGER_AGENT}-survey"))
    return ExitCode.DONE


def shards_of_run(manifest: dict[str, Any]) -> list[Shard]:
    """The shards that the survey wrote down.

    Raises:
        AgentError: SpecInvalid, they are not there or make no sense.
    """
    told = (manifest.get("status") or {}).get("split")
    try:
        split = SplitStatus.model_validate(told)
        return shards_of([Cut.read(cut.path, cut.offset) for cut in split.cuts])
    except ValueError as error:
        raise AgentError(SPEC_INVALID, f"The run's status.split does not say how the tree is split: {error}") from None


class ShardSink:
    """Where an agent's part of the status goes; one of the agents tells the whole run's counters, too."""

    def __init__(self, client: ApiClient, key: ObjectKey, index: int, manifest: Callable[[], dict[str, Any]]) -> None:
        self._client = client
        self._key = key
        self._manager = f"{FIELD_MANAGER_AGENT}-{index}"
        self._manifest = manifest

    def write(self, status: dict[str, Any]) -> None:
        """Applies it as this agent's own field manager: the other agents' parts stay."""
        self._client.apply_status(self._key, status, self._manager)
        (own,) = shards_in({"status": status})
        if (together := totals(self._manifest(), own)) is not None:
            self._client.apply_status(self._key, together)


def run_shard(task: ResolvedTask, around: Surroundings, client: ApiClient, watch: RunWatch, index: int) -> ExitCode:
    """Copies one shard. Files that can't be copied are in its status; the finish tries them again and tells of them.

    Raises:
        AgentError: it failed as a whole.
    """
    shards = shards_of_run(watch.manifest)
    if index >= len(shards):
        return ExitCode.DONE
    report, state = RunReport(), PhaseState.RUNNING
    pieces: tuple[Piece, ...] = ()
    sink = ShardSink(client, watch.key, index, lambda: watch.manifest)

    def told() -> dict[str, Any]:
        return status_fields(shard_status(index, report.status(), state, pieces))

    throttle = Throttle(interval=max(INTERVAL, _SECONDS_PER_AGENT * len(shards)))
    with BackgroundWriter(sink, told, throttle) as writer:
        report.changed = writer.notify
        limit = around.bytes_per_second
        try:
            _, pieces = between(
                task,
                around,
                report,
                lambda source, destination: transfer_shard(
                    source,
                    destination,
                    engine_options(task, dry_run=False),
                    report,
                    shard=shards[index],
                    cancelled=around.cancelled,
                    abandoned=around.abandoned,
                    may_replace=around.may_replace,
                    bytes_per_second=None if limit is None else lambda: _share_of(limit(), len(shards)),
                ),
                records=f"{around.run_name}-{index}",
            )
            state = PhaseState.SUCCEEDED
        except AgentError:
            state = PhaseState.FAILED
            raise
        finally:
            writer.notify(urgent=True)
    return ExitCode.DONE


def _share_of(limit: int | None, count: int) -> int | None:
    return None if limit is None else max(1, limit // count)


def run_finish(task: ResolvedTask, around: Surroundings, report: FinishReport, manifest: dict[str, Any]) -> ExitCode:
    """Brings the run to its end, as one agent would have left it.

    Raises:
        AgentError: it failed as a whole.
    """
    shards = shards_in(manifest)
    report.begin(manifest, shards)
    well = all_went_well(shards, len(shards_of_run(manifest)))
    between(
        task,
        around,
        report,
        lambda source, destination: finish(
            source,
            destination,
            engine_options(task, dry_run=False),
            report,
            pieces=pieces_in(shards),
            all_went_well=well,
            cancelled=around.cancelled,
            abandoned=around.abandoned,
            may_replace=around.may_replace,
            bytes_per_second=around.bytes_per_second,
        ),
        records=around.run_name,
    )
    return exit_code(report)
