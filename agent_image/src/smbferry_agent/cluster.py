"""The commands in a pod: objects come from the API server, results go to their status."""

import logging
from dataclasses import replace
from functools import partial
from pathlib import Path

from smbferry_agent.checks import check_identity, check_location
from smbferry_agent.errors import AgentError
from smbferry_agent.logs import fields
from smbferry_agent.manifests import identity_subject, location_subject, previous_status, run_spec
from smbferry_agent.mounts import IdentityMount
from smbferry_agent.preflight.identity_probe import IdentitySubject
from smbferry_agent.report.api_client import ApiClient, ObjectKey, ObjectNotFoundError, repeated
from smbferry_agent.report.key_turns import ClusterTurn
from smbferry_agent.report.run_report import RunReport
from smbferry_agent.report.shards import FinishReport
from smbferry_agent.report.sinks import ClusterSink, status_fields
from smbferry_agent.report.throttle import Throttle
from smbferry_agent.report.writer import BackgroundWriter
from smbferry_agent.run import Surroundings, run_transfer
from smbferry_agent.run_watch import RunWatch, current_limit
from smbferry_agent.stages import run_finish, run_shard, run_survey
from smbferry_api.agent_contract import SCRATCH_DIR, Side, Stage
from smbferry_api.exit_codes import ExitCode
from smbferry_api.identity import KerberosIdentityStatus
from smbferry_api.reasons import API_SERVER_UNREACHABLE, IDENTITY_NOT_FOUND
from smbferry_api.run import ResolvedTask

_log = logging.getLogger(__name__)


def cluster_identity_check(client: ApiClient, namespace: str, name: str) -> AgentError | None:
    """Checks a KerberosIdentity; returns the first failure, which its status tells, too."""
    key = ObjectKey("KerberosIdentity", namespace, name)
    subject = replace(identity_subject(repeated(lambda: client.get(key)), Side.SELF), turn=ClusterTurn(client, key))
    return check_identity(subject, ClusterSink(client, key))


def cluster_location_check(client: ApiClient, namespace: str, name: str) -> AgentError | None:
    """Checks an SmbLocation with the identity that it names; returns the first failure."""
    key = ObjectKey("SmbLocation", namespace, name)
    manifest = repeated(lambda: client.get(key))
    identity = _identity_of(client, namespace, str(manifest["spec"]["identityRef"]["name"]))
    return check_location(location_subject(manifest, identity), ClusterSink(client, key))


def transfer(
    client: ApiClient,
    namespace: str,
    name: str,
    task: ResolvedTask,
    *,
    stage: Stage = Stage.WHOLE,
    index: int | None = None,
) -> ExitCode:
    """Does the work of a TransferRun, or one stage of it.

    Args:
        task: the snapshot, as this agent's Job holds it.
        index: the shard's.

    Raises:
        AgentError: the run as a whole failed or was cancelled; its status tells so.
        ObjectNotFoundError: there is no such run.
    """
    key = ObjectKey("TransferRun", namespace, name)
    manifest = repeated(lambda: client.get(key))
    spec = run_spec(manifest)
    with RunWatch(client, key, manifest) as watch:
        around = Surroundings(
            mounts={side: IdentityMount.of(side) for side in (Side.SOURCE, Side.DESTINATION, Side.REPORT)},
            scratch=Path(SCRATCH_DIR),
            cancelled=watch.cancelled,
            abandoned=watch.abandoned,
            may_replace=watch.is_wanted,
            claimed=not spec.dry_run,
            bytes_per_second=lambda: current_limit(watch.manifest, task.options.bytes_per_second),
            standing=_standing(client, namespace, task),
            standing_now=partial(_status_of, client, namespace),
            turn=lambda identity: ClusterTurn(client, ObjectKey("KerberosIdentity", namespace, identity)),
            run_name=name,
        )
        if stage is Stage.SHARDS:
            return run_shard(task, around, client, watch, index or 0)
        report = FinishReport() if stage is Stage.FINISH else RunReport()
        writer = BackgroundWriter(ClusterSink(client, key), lambda: status_fields(report.status()), Throttle())
        with writer:
            report.changed = writer.notify
            if stage is Stage.SURVEY:
                return run_survey(task, around, report, client, key)
            if isinstance(report, FinishReport):
                return run_finish(task, around, report, manifest)
            return run_transfer(task, around, report, dry_run=spec.dry_run)


def _standing(client: ApiClient, namespace: str, task: ResolvedTask) -> dict[str, KerberosIdentityStatus]:
    """What the statuses of the identities say now; one that can't be read leaves the run without that knowledge."""
    statuses = {name: _status_of(client, namespace, name) for name in task.identity_names}
    return {name: status for name, status in statuses.items() if status is not None}


def _status_of(client: ApiClient, namespace: str, identity: str) -> KerberosIdentityStatus | None:
    try:
        manifest = client.get(ObjectKey("KerberosIdentity", namespace, identity))
    except (AgentError, ObjectNotFoundError) as error:
        _log.warning("the identity's status could not be read: %s", error, extra=fields(identity=identity))
        return None
    return previous_status(KerberosIdentityStatus, manifest)


def _identity_of(client: ApiClient, namespace: str, name: str) -> IdentitySubject | AgentError:
    try:
        key = ObjectKey("KerberosIdentity", namespace, name)
        subject = identity_subject(repeated(lambda: client.get(key)), Side.SELF)
        return replace(subject, requested=False, turn=ClusterTurn(client, key))  # only its own check was asked for
    except ObjectNotFoundError:
        return AgentError(IDENTITY_NOT_FOUND, f"There is no KerberosIdentity {name!r} in namespace {namespace!r}.")
    except AgentError as error:
        if error.reason is API_SERVER_UNREACHABLE:
            raise
        return error
