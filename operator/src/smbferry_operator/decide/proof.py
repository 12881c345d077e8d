"""Whether an identity's key is known to work before many agents use it at once. Pure.

Agents try a key in turn and respect the first refusal, so a run starts at once while its keys are not in doubt.
If one is, the identity is checked first, and agents that use its key start only after that check has succeeded.
All times are creation times set by the API server; no clocks of two machines are compared. A proof lasts as long as its
Job, a few minutes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from smbferry_api.conditions import IDENTITY_CHECKS
from smbferry_operator.decide.check import check_inputs, first_unhealthy, is_about, is_reported
from smbferry_operator.model import Identity, Job


@dataclass(frozen=True, slots=True)
class Proof:
    """A successful check of an identity's newest spec."""

    asked_at: datetime
    """When its Job was created; the key was used after that."""


def newest_proof(identity: Identity, jobs: Iterable[Job]) -> Proof | None:
    """The newest proof, from the identity's status and the existing Jobs of its checks."""
    conditions = identity.status.conditions
    if identity.meta.deleting or not conditions or first_unhealthy(conditions, IDENTITY_CHECKS):
        return None
    inputs = check_inputs(identity)
    reported = (job.meta.created for job in jobs if is_reported(identity, job) and is_about(job, inputs))
    newest = max(reported, default=None)
    return Proof(newest) if newest else None


def doubted(identities: Iterable[Identity]) -> tuple[str, ...]:
    """Names of the identities whose key is in doubt although Ready does not say so yet.

    An agent was refused since the last check, or the last check reported a failure that is not yet in Ready.
    """
    return tuple(dict.fromkeys(identity.meta.name for identity in identities if _is_doubted(identity)))


def _is_doubted(identity: Identity) -> bool:
    refused = identity.status.key_use.refused if identity.status.key_use else None
    checked = identity.status.last_check_time
    if refused is not None and (checked is None or checked < refused.time):
        return True
    return first_unhealthy(identity.status.conditions, IDENTITY_CHECKS) is not None


def unproven(proofs: Mapping[str, Proof | None], names: Iterable[str], since: datetime) -> tuple[str, ...]:
    """Names of the identities that must be checked first.

    Args:
        proofs: by name, of the existing identities; nothing waits for one that does not exist.
        since: the earliest time of a valid proof; an older one may be about a key that has changed.
    """
    return tuple(name for name in names if name in proofs and not is_proven(proofs[name], since))


def is_proven(proof: Proof | None, since: datetime | None) -> bool:
    """Whether there is a proof that is not older than `since`; both in whole seconds, as Kubernetes stores them."""
    return proof is not None and (since is None or proof.asked_at >= since)
