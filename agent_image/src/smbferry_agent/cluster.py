"""The commands in a pod: objects come from the API server, results go to their status."""

import logging
import signal
import threading
import time
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Final, Self

from smbferry_agent.checks import check_identity, check_location
from smbferry_agent.errors import AgentError
from smbferry_agent.logs import fields
from smbferry_agent.manifests import identity_subject, location_subject, previous_status, run_task
from smbferry_agent.mounts import IdentityMount
from smbferry_agent.preflight.identity_probe import IdentitySubject
from smbferry_agent.report.api_client import ApiClient, ObjectKey, ObjectNotFoundError
from smbferry_agent.report.run_report import RunReport
from smbferry_agent.report.sinks import ClusterSink, status_fields
from smbferry_agent.report.throttle import Throttle
from smbferry_agent.report.writer import BackgroundWriter
from smbferry_agent.run import Surroundings, run_transfer
from smbferry_api.agent_contract import SCRATCH_DIR, Side
from smbferry_api.exit_codes import ExitCode
from smbferry_api.identity import KerberosIdentityStatus
from smbferry_api.reasons import API_SERVER_UNREACHABLE, IDENTITY_NOT_FOUND
from smbferry_api.run import ResolvedTask

_log = logging.getLogger(__name__)
_POLL_SECONDS: Final = 5.0
_START_ATTEMPTS: Final = 5
_START_PAUSE: Final = 2.0


def cluster_identity_check(client: ApiClient, namespace: str, name: str) -> AgentError | None:
    """Checks a KerberosIdentity; returns the first failure, which its status tells, too."""
    key = ObjectKey("KerberosIdentity", namespace, name)
    subject = identity_subject(_get(client, key), Side.SELF)
    return check_identity(subject, ClusterSink(client, key))


def cluster_location_check(client: ApiClient, namespace: str, name: str) -> AgentError | None:
    """Checks an SmbLocation with the identity that it names; returns the first failure."""
    key = ObjectKey("SmbLocation", namespace, name)
    manifest = _get(client, key)
    identity = _identity_of(client, namespace, str(manifest["spec"]["identityRef"]["name"]))
    return check_location(location_subject(manifest, identity), ClusterSink(client, key))


def transfer(client: ApiClient, namespace: str, name: str) -> ExitCode:
    """Does the work of a TransferRun.

    Raises:
        AgentError: the run as a whole failed or was cancelled; its status tells so.
        ObjectNotFoundError: there is no such run.
    """
    key = ObjectKey("TransferRun", namespace, name)
    manifest = _get(client, key)
    spec, task = run_task(manifest)
    report = RunReport()
    writer = BackgroundWriter(ClusterSink(client, key), lambda: status_fields(report.status()), Throttle())
    with CancelWatch(client, key) as watch, writer:
        report.changed = writer.notify
        around = Surroundings(
            mounts={side: IdentityMount.of(side) for side in (Side.SOURCE, Side.DESTINATION)},
            scratch=Path(SCRATCH_DIR),
            cancelled=watch.cancelled,
            standing=_standing(client, namespace, task),
        )
        return run_transfer(task, around, report, dry_run=spec.dry_run)


class CancelWatch:
    """Whether the run must stop: spec.cancel, its deletion, or SIGTERM. A context manager in the main thread."""

    def __init__(self, client: ApiClient, key: ObjectKey) -> None:
        self._client = client
        self._key = key
        self._cancelled = threading.Event()
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="cancel-watch", daemon=True)

    def __enter__(self) -> Self:
        signal.signal(signal.SIGTERM, self._terminate)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left.set()

    def cancelled(self) -> bool:
        """Asked by the engine a few times a second."""
        return self._cancelled.is_set()

    def wait(self, seconds: float) -> bool:
        """Waits until the run must stop, for at most so long; returns whether it must."""
        return self._cancelled.wait(seconds)

    def _terminate(self, _number: int, _frame: FrameType | None) -> None:
        self._cancelled.set()

    def _poll(self) -> None:
        while not self._left.wait(_POLL_SECONDS):
            try:
                cancel = bool(self._client.get(self._key)["spec"].get("cancel", False))
            except ObjectNotFoundError:
                cancel = True
            except AgentError as error:
                # An API server that is away is no reason to stop copying.
                _log.warning(
                    "the run could not be looked at", extra=fields(reason=str(error.reason), detail=error.message)
                )
                continue
            if cancel:
                _log.info("the run is cancelled or gone; stopping")
                self._cancelled.set()
                return


def _standing(client: ApiClient, namespace: str, task: ResolvedTask) -> dict[str, KerberosIdentityStatus]:
    """What the statuses of the identities say now; one that can't be read leaves the run without that knowledge."""
    found: dict[str, KerberosIdentityStatus] = {}
    for name in task.identity_names:
        try:
            status = previous_status(KerberosIdentityStatus, client.get(ObjectKey("KerberosIdentity", namespace, name)))
        except (AgentError, ObjectNotFoundError) as error:
            _log.warning("the identity's status could not be read: %s", error, extra=fields(identity=name))
            continue
        if status is not None:
            found[name] = status
    return found


def _identity_of(client: ApiClient, namespace: str, name: str) -> IdentitySubject | AgentError:
    try:
        return identity_subject(_get(client, ObjectKey("KerberosIdentity", namespace, name)), Side.SELF)
    except ObjectNotFoundError:
        return AgentError(IDENTITY_NOT_FOUND, f"There is no KerberosIdentity {name!r} in namespace {namespace!r}.")
    except AgentError as error:
        if error.reason is API_SERVER_UNREACHABLE:
            raise
        return error


def _get(client: ApiClient, key: ObjectKey) -> dict[str, Any]:
    """The object; an API server that is away for a moment is waited for."""
    for attempt in range(1, _START_ATTEMPTS + 1):
        try:
            return client.get(key)
        except AgentError as error:
            if error.reason is not API_SERVER_UNREACHABLE or attempt == _START_ATTEMPTS:
                raise
            _log.warning("the API server does not answer; trying again", extra=fields(detail=error.message))
            time.sleep(_START_PAUSE * attempt)
    raise AssertionError("unreachable: the last attempt returns or raises")
