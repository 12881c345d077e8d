"""Whether an identity's key is known to be good before many agents use it at once. Pure.

Each wrong key counts towards the domain's lockout policy. So one goes ahead, whoever waits: a check of the identity,
or, when a check has ended well within the last minute, one agent. The others start when that one has got its tickets
or a check has ended well since. Times are the API server's alone: a Job's creation against another object's; no two
machines' clocks are compared. A proof is forgotten with its Job, minutes later.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from smbferry_api.conditions import IDENTITY_CHECKS
from smbferry_operator.decide.check import check_inputs, first_unhealthy, is_about, is_reported
from smbferry_operator.model import Identity, Job

SHARED_FOR: Final = timedelta(seconds=60)
"""How much older than a run a proof may be that one agent goes ahead by."""
RENEWED_AFTER: Final = timedelta(seconds=30)
"""How much older than a run a proof may be without another check being asked for: a stream of runs never waits."""


@dataclass(frozen=True, slots=True)
class Proof:
    """A check of an identity's newest spec that found nothing wrong."""

    asked_at: datetime
    """When its Job was created; the key was used later than that."""
    shared: bool = False
    """Whether one agent may go ahead by it though it is older than the run: nothing has cast doubt on it since, and no
    other agent is just trying the key."""


def newest_proof(identity: Identity, jobs: Iterable[Job]) -> Proof | None:
    """The newest proof, by the identity's status and the Jobs of its checks that are still there."""
    conditions = identity.status.conditions
    if identity.meta.deleting or not conditions or first_unhealthy(conditions, IDENTITY_CHECKS):
        return None
    inputs = check_inputs(identity)
    told = (job.meta.created for job in jobs if is_reported(identity, job) and is_about(job, inputs))
    newest = max(told, default=None)
    return Proof(newest) if newest else None


def unproven(proofs: Mapping[str, Proof | None], names: Iterable[str], since: datetime) -> tuple[str, ...]:
    """Those of the identities that must be checked first.

    Args:
        proofs: by name, of the identities that exist; one that does not exist can't be waited for.
        since: when what needs their keys came up; an older proof says nothing about a key that was changed since.
    """
    return tuple(name for name in names if name in proofs and not is_proven(proofs[name], since))


def to_check_first(proofs: Mapping[str, Proof | None], names: Iterable[str], made: datetime) -> tuple[str, ...]:
    """Those of the identities that must be checked before a run's agent may use their keys.

    Args:
        proofs: by name, of the identities that exist.
        made: when the run was created.
    """
    return tuple(name for name in unproven(proofs, names, made) if not _is_shared(proofs[name], made))


def to_check_soon(proofs: Mapping[str, Proof | None], names: Iterable[str], made: datetime) -> tuple[str, ...]:
    """Those whose proof serves the run and is not to serve many more."""
    return unproven(proofs, names, made - RENEWED_AFTER)


def _is_shared(proof: Proof | None, made: datetime) -> bool:
    return proof is not None and proof.shared and is_proven(proof, made - SHARED_FOR)


def is_proven(proof: Proof | None, since: datetime | None) -> bool:
    """Whether there is a proof, from no earlier than `since`; both by the second, as Kubernetes keeps them."""
    return proof is not None and (since is None or proof.asked_at >= since)
