"""KerberosIdentity: checks it against its KDC, and summarizes the agent's result."""

from datetime import datetime

from smbferry_api.agent_contract import AgentCommand
from smbferry_api.conditions import IDENTITY_CHECKS
from smbferry_api.names import ANNOTATION_REQUESTED_AT
from smbferry_operator.decide.account import account_use
from smbferry_operator.decide.check import (
    Checks,
    Subject,
    check_inputs,
    decide_check,
    judged_generation,
    last_check_text,
)
from smbferry_operator.decide.decision import Decision
from smbferry_operator.decide.manifests.access import build_access
from smbferry_operator.decide.manifests.jobs import Check
from smbferry_operator.decide.manifests.network import build_network_policy
from smbferry_operator.decide.observation import IdentityObservation
from smbferry_operator.decide.settings import AgentSettings
from smbferry_operator.model import Identity, Kind


def identity_check(identity: Identity) -> Check:
    """The next check of the identity."""
    return Check(
        kind=Kind.IDENTITY,
        owner=identity.meta,
        command=AgentCommand.CHECK_IDENTITY,
        identity=identity.spec,
        nameservers=identity.spec.nameservers,
        inputs=check_inputs(identity),
        epoch="",
        last_check=last_check_text(identity),
        settings=(identity.spec.agent,),
        request=identity.meta.annotations.get(ANNOTATION_REQUESTED_AT, ""),
    )


def decide_identity(seen: IdentityObservation, now: datetime, settings: AgentSettings) -> Decision:
    """What to do about an identity."""
    identity = seen.identity
    if identity.meta.deleting:
        return Decision()
    judged = judged_generation(identity.status.conditions, IDENTITY_CHECKS)
    subject = Subject(
        resource=identity,
        checks=IDENTITY_CHECKS,
        check=identity_check(identity),
        access=(
            *build_access(Kind.IDENTITY, identity.meta),
            *build_network_policy(Kind.IDENTITY, identity.meta, settings, nameservers=identity.spec.nameservers),
        ),
        judged_inputs=None if judged is None else str(judged),
        account=account_use(identity, seen.same_account, now),
    )
    checks = Checks(
        seen.jobs,
        seen.pods,
        seen.checks,
        seen.doubted_at,
        seen.refusal,
        seen.awaited,
        seen.outdated,
        seen.account_busy,
    )
    return decide_check(subject, checks, now, settings)
