"""Whether an identity's key is known to be good before many agents use it at once. Pure.

Agents try a key in turn, and keep to what the first of them was refused; so a run starts at once while nothing speaks
against its keys. Where something does, one check of the identity goes ahead, whoever waits, and agents that use its key
start only when that check has ended well. Times are the API server's alone: a Job's creation against another object's;
no two machines' clocks are compared. A proof is forgotten with its Job, minutes later.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from smbferry_api.conditions import IDENTITY_CHECKS
from smbferry_operator.decide.check import check_inputs, first_unhealthy, is_about, is_reported
from smbferry_operator.model import Identity, Job


@dataclass(frozen=True, slots=True)
class Proof:
    """A check of an identity's newest spec that found nothing wrong."""

    asked_at: datetime
    """When its Job was created; the key was used later than that."""


def newest_proof(identity: Identity, jobs: Iterable[Job]) -> Proof | None:
    """The newest proof, by the identity's status and the Jobs of its checks that are still there."""
    conditions = identity.status.conditions
    if identity.meta.deleting or not conditions or first_unhealthy(conditions, IDENTITY_CHECKS):
        return None
    inputs = check_inputs(identity)
    told = (job.meta.created for job in jobs if is_reported(identity, job) and is_about(job, inputs))
    newest = max(told, default=None)
    return Proof(newest) if newest else None


def doubted(identities: Iterable[Identity]) -> tuple[str, ...]:
    """Those of the identities against whose key something speaks that Ready does not say yet.

    It was refused to an agent since their last check, or that check, just reported, is not summed up.
    """
    return tuple(dict.fromkeys(identity.meta.name for identity in identities if _is_doubted(identity)))


def _is_doubted(identity: Identity) -> bool:
    told = identity.status.key_use.refused if identity.status.key_use else None
    checked = identity.status.last_check_time
    if told is not None and (checked is None or checked < told.time):
        return True
    return first_unhealthy(identity.status.conditions, IDENTITY_CHECKS) is not None


def unproven(proofs: Mapping[str, Proof | None], names: Iterable[str], since: datetime) -> tuple[str, ...]:
    """Those of the identities that must be checked first.

    Args:
        proofs: by name, of the identities that exist; one that does not exist can't be waited for.
        since: when what needs their keys came up; an older proof says nothing about a key that was changed since.
    """
    return tuple(name for name in names if name in proofs and not is_proven(proofs[name], since))


def is_proven(proof: Proof | None, since: datetime | None) -> bool:
    """Whether there is a proof, from no earlier than `since`; both by the second, as Kubernetes keeps them."""
    return proof is not None and (since is None or proof.asked_at >= since)
