"""`smbferry recheck`: requests a check of identities and locations now, and may wait for the result."""

import argparse
from collections.abc import Iterable, Set
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from smbferry_api.conditions import Condition, ConditionType
from smbferry_api.crd import KERBEROS_IDENTITY, SMB_LOCATION
from smbferry_api.exit_codes import ExitCode
from smbferry_api.fields import Status
from smbferry_api.names import ANNOTATION_REQUESTED_AT
from smbferry_api.reasons import IDENTITY_NOT_FOUND, IDENTITY_NOT_READY
from smbferry_api.served import read_status
from smbferry_cli.cluster import Cluster, Object
from smbferry_cli.exits import code_of_reason, most_severe
from smbferry_cli.kinds import Reference
from smbferry_cli.text import safe
from smbferry_cli.verbs.waiting import Clock, wait_for

_WITHOUT_IDENTITY: Final = frozenset({IDENTITY_NOT_READY.name, IDENTITY_NOT_FOUND.name})


class _Checked(Status):
    """What identities and locations have in common."""

    conditions: tuple[Condition, ...] = ()
    last_handled_request: str | None = None


def recheck(chosen: argparse.Namespace, cluster: Cluster, clock: Clock) -> ExitCode:
    """Requests the checks. With --wait, prints the result of each and ends with the most severe exit code.

    Raises:
        ClusterError: there is no such object, it may not be changed, or a check does not end in time.
    """
    objects = list(_all(cluster) if chosen.all else chosen.objects)
    if not objects:
        print(f'There are no identities and locations in namespace "{cluster.namespace}".')
    request = datetime.now(UTC).isoformat()
    for one in objects:
        cluster.patch(one.kind, one.name, {"metadata": {"annotations": {ANNOTATION_REQUESTED_AT: request}}})
        print(f"{one} check requested", flush=True)
    if not chosen.wait:
        return ExitCode.DONE
    # Identities first: a location is checked only if its identity is Ready.
    ordered = sorted(objects, key=lambda one: one.kind is SMB_LOCATION)
    advice = "is the operator running, and is its queue of checks long? kubectl describe shows the object's conditions"
    pause = clock.until(chosen.timeout, "the checks to end", advice)
    passed = set[str]()
    codes = []
    for one in ordered:
        ready = wait_for(partial(_look, cluster, one, request, passed), pause)
        print(f"{one} {_said(ready)}", flush=True)
        if ready.status == "True":
            passed.add(one.name if one.kind is KERBEROS_IDENTITY else "")
        codes.append(ExitCode.DONE if ready.status == "True" else code_of_reason(ready.reason))
    return most_severe(codes)


def _all(cluster: Cluster) -> Iterable[Reference]:
    for kind in (KERBEROS_IDENTITY, SMB_LOCATION):
        yield from (Reference(kind, name) for name in cluster.names(kind))


def _look(cluster: Cluster, one: Reference, request: str, passed: Set[str]) -> Condition | None:
    return result_of(cluster.find(one.kind, one.name), request, passed)


def result_of(found: Object, request: str, passed: Set[str]) -> Condition | None:
    """Returns the condition Ready as of the requested check, or None until that has ended. Pure.

    Args:
        request: what was requested; a later request of somebody else counts as well.
        passed: identities whose requested check has passed: a location that still calls one of them not Ready is about
            to be checked.
    """
    status = read_status(_Checked, found.get("status") or {})[0]
    ready = next((c for c in status.conditions if c.type == ConditionType.READY), None)
    if ready is None or ready.status == "Unknown":
        return None
    identity = _identity(found)
    if ready.reason in _WITHOUT_IDENTITY:
        return ready if identity not in passed else None
    latest = (found["metadata"].get("annotations") or {}).get(ANNOTATION_REQUESTED_AT, request)
    return ready if status.last_handled_request in {request, latest} else None


def _identity(found: Object) -> str:
    reference: dict[str, Any] = found["spec"].get("identityRef") or {}
    return str(reference.get("name", ""))


def _said(ready: Condition) -> str:
    word = "is Ready" if ready.status == "True" else "is not Ready"
    return safe(f"{word}: {ready.reason}: {ready.message}" if ready.message else f"{word}: {ready.reason}")
