"""The commands in a pod: read objects from the API server, write results to their status."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from smbferry_agent.checks import failure_of, report_identity
from smbferry_agent.errors import AgentError
from smbferry_agent.location_checks import LocationChecks, NamedLocation, first_failure_of
from smbferry_agent.logs import fields
from smbferry_agent.manifests import identity_subject, previous_status, run_spec
from smbferry_agent.mounts import IdentityMount
from smbferry_agent.preflight.identity_probe import TriedIdentity, try_identity
from smbferry_agent.preflight.sid_map import SidMapSource
from smbferry_agent.report.api_client import (
    ApiClient,
    ObjectKey,
    ObjectNotFoundError,
    PermissionWithdrawnError,
    is_refused,
    repeated,
)
from smbferry_agent.report.key_turns import ClusterTurn
from smbferry_agent.report.object_status import ObjectStatus
from smbferry_agent.report.plan_record import ClusterPlanRecord
from smbferry_agent.report.run_report import RunReport
from smbferry_agent.report.shards import FinishReport, left_by_an_earlier_agent, read_pieces
from smbferry_agent.report.sinks import status_fields
from smbferry_agent.report.snapshot_record import ClusterSnapshotRecord
from smbferry_agent.report.survey_report import SurveyReport
from smbferry_agent.report.throttle import Throttle
from smbferry_agent.report.writer import BackgroundWriter
from smbferry_agent.run import run_transfer
from smbferry_agent.run_environment import Identities, RunEnvironment
from smbferry_agent.run_watch import RunWatch
from smbferry_agent.stages import run_finish, run_shard, run_survey
from smbferry_agent.survey import run_source_survey
from smbferry_api.agent_contract import SCRATCH_DIR, Side, Stage
from smbferry_api.exit_codes import ExitCode
from smbferry_api.identity import KerberosIdentityStatus
from smbferry_api.names import FIELD_MANAGER_AGENT
from smbferry_api.reasons import IDENTITY_NOT_FOUND
from smbferry_api.run import ResolvedTask, TransferRunSpec
from smbferry_api.run_status import TransferRunStatus
from smbferry_api.sid_status import SidStatus
from smbferry_engine import Control, Handover

_log = logging.getLogger(__name__)


def cluster_check(
    client: ApiClient,
    namespace: str,
    name: str,
    locations: Sequence[NamedLocation] = (),
    *,
    only_locations: bool = False,
) -> AgentError | None:
    """Checks a KerberosIdentity and locations of it; returns the first failure.

    Args:
        only_locations: the identity has just been checked, so only the statuses of the locations are written.

    Raises:
        ObjectNotFoundError: the identity does not exist.
        AgentError: the identity can't be read.
    """
    key = ObjectKey("KerberosIdentity", namespace, name)
    manifest = repeated(lambda: client.get(key))
    subject = replace(identity_subject(manifest, Side.SELF, Path(SCRATCH_DIR)), turn=ClusterTurn(client, key))
    if only_locations:
        subject = replace(subject, requested=False)  # the request was for the identity's own check
    now = datetime.now(UTC)
    tried = try_identity(subject, now)
    unwritten = None if only_locations else _report(tried, ObjectStatus.of(client, key, manifest), now)
    outcomes = list(LocationChecks(namespace, name, tried, ApiClient.in_cluster, Path(SCRATCH_DIR)).run(locations))
    if unwritten is not None:
        return unwritten
    without_verdict = first_failure_of([each for each in outcomes if not each.reported])
    return without_verdict or failure_of(tried.findings) or first_failure_of(outcomes)


def _report(tried: TriedIdentity, status: ObjectStatus, now: datetime) -> AgentError | None:
    """Writes the identity's status; returns why it could not. Its locations are checked even so.

    Raises:
        ObjectNotFoundError: the identity does not exist any more.
    """
    try:
        report_identity(tried, status, now)
    except AgentError as error:
        _log.warning("could not write the identity's status: %s", error.message)
        return error
    return None


def expect_identities(client: ApiClient, namespace: str, task: ResolvedTask) -> None:
    """Makes sure that the identities of a run exist, before anything reads their keys.

    An admission policy compares each mounted Secret with the identity that the Job names, but it cannot tell whether
    there is such an identity (ADR 49). A run starts without an answer of the API server, but not after a refusal.

    Raises:
        AgentError: IdentityNotFound; or this agent may not read one.
    """
    for name in task.identity_names:
        key = ObjectKey("KerberosIdentity", namespace, name)
        try:
            repeated(partial(client.get, key), worth=is_refused)
        except ObjectNotFoundError as error:
            message = f"{key}, whose key this agent was started to use, does not exist."
            raise AgentError(IDENTITY_NOT_FOUND, message) from error
        except PermissionWithdrawnError:
            raise
        except AgentError as error:
            _log.warning("could not read the identity: %s", error, extra=fields(identity=name))


def transfer(
    client: ApiClient,
    namespace: str,
    name: str,
    task: ResolvedTask,
    *,
    stage: Stage = Stage.WHOLE,
    index: int | None = None,
) -> ExitCode:
    """Carries out a TransferRun, or one stage of it.

    Args:
        task: the snapshot in this agent's Job.
        index: the index of the shard.

    Raises:
        AgentError: the run failed as a whole or was cancelled; its status says so.
        ObjectNotFoundError: the run does not exist.
    """
    key = ObjectKey("TransferRun", namespace, name)
    manifest = repeated(lambda: client.get(key))
    spec, run = run_spec(manifest), ObjectStatus.of(client, key, manifest)
    with RunWatch(run, manifest, windows=task.windows) as watch:
        environment = _environment(client, run, manifest, task, watch, index=index)
        if stage is Stage.SHARDS:
            return run_shard(task, environment, run, watch, index or 0)
        report = _report_of(stage, spec)
        writer = BackgroundWriter(run, lambda: status_fields(report.status()), Throttle())
        with writer:
            report.changed = writer.notify
            if stage is Stage.SURVEY:
                return run_survey(task, environment, report, run)
            if isinstance(report, FinishReport):
                return run_finish(task, environment, report, manifest)
            if isinstance(report, SurveyReport):
                return run_source_survey(task, environment, report, measure_destination=spec.measure_destination)
            return run_transfer(task, environment, report, dry_run=spec.dry_run)


def _environment(
    client: ApiClient,
    run: ObjectStatus,
    manifest: dict[str, Any],
    task: ResolvedTask,
    watch: RunWatch,
    *,
    index: int | None,
) -> RunEnvironment:
    """What the agents of a run share, and what this one gets from the cluster."""
    namespace = run.key.namespace
    return RunEnvironment(
        Identities(
            mounts={side: IdentityMount.of(side) for side in (Side.SOURCE, Side.DESTINATION, Side.REPORT)},
            scratch=Path(SCRATCH_DIR),
            statuses=_identity_statuses(client, namespace, task),
            status_now=partial(_status_of, client, namespace),
            turn=lambda identity: ClusterTurn(client, ObjectKey("KerberosIdentity", namespace, identity)),
        ),
        Control(
            watch.cancelled,
            watch.abandoned,
            watch.is_wanted,
            bytes_per_second=lambda: watch.limit(task.rate),
            handover=Handover(read_pieces(left_by_an_earlier_agent(manifest, index))),
        ),
        paused=watch.paused,
        started=datetime.fromisoformat(manifest["metadata"]["creationTimestamp"]),
        claimed=run_spec(manifest).writes,
        run_name=run.key.name,
        sid_map=SidMapSource(agree=partial(_agreed_sid_map, run, manifest)),
        snapshots=ClusterSnapshotRecord(run),
        plans=ClusterPlanRecord(run),
    )


def _agreed_sid_map(run: ObjectStatus, manifest: dict[str, Any], name: str, digest: str) -> str:
    """The digest of the run's SID map, recorded before anything is copied: an agent that follows uses the same map."""
    recorded = previous_status(TransferRunStatus, manifest).sids
    if recorded is not None and recorded.digest is not None:
        return recorded.digest
    status = status_fields(TransferRunStatus(sids=SidStatus(config_map=name, digest=digest)))
    repeated(lambda: run.apply(status, f"{FIELD_MANAGER_AGENT}-sid-map"))
    return digest


def _report_of(stage: Stage, spec: TransferRunSpec) -> RunReport:
    if stage is Stage.FINISH:
        return FinishReport()
    return SurveyReport() if spec.survey else RunReport()


def _identity_statuses(client: ApiClient, namespace: str, task: ResolvedTask) -> dict[str, KerberosIdentityStatus]:
    """The current statuses of the identities, by name. The run starts without one that cannot be read."""
    statuses = {name: _status_of(client, namespace, name) for name in task.identity_names}
    return {name: status for name, status in statuses.items() if status is not None}


def _status_of(client: ApiClient, namespace: str, identity: str) -> KerberosIdentityStatus | None:
    try:
        manifest = client.get(ObjectKey("KerberosIdentity", namespace, identity))
    except (AgentError, ObjectNotFoundError) as error:
        _log.warning("could not read the identity's status: %s", error, extra=fields(identity=identity))
        return None
    return previous_status(KerberosIdentityStatus, manifest)
