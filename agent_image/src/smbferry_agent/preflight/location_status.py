"""The status after a check of a location. Pure."""

from datetime import datetime, timedelta

from smbferry_agent.errors import AgentError
from smbferry_agent.preflight.findings import Finding, conditions, first_failure
from smbferry_agent.preflight.location_facts import LocationFacts
from smbferry_agent.preflight.location_probe import LocationSubject
from smbferry_api.conditions import Condition, find
from smbferry_api.fields import parse_duration
from smbferry_api.location import DfsTarget, ServerStatus, SmbLocationStatus, SpaceStatus
from smbferry_api.rechecks import recheck_after
from smbferry_engine import DfsTarget as EngineTarget
from smbferry_engine import ShareFacts


def location_status(
    subject: LocationSubject, facts: LocationFacts, findings: tuple[Finding, ...], now: datetime
) -> SmbLocationStatus:
    """The fields that the agent owns."""
    previous = subject.previous or SmbLocationStatus()
    share = facts.share if isinstance(facts.share, ShareFacts) else None
    identity = subject.identity
    told = conditions(findings, previous.conditions, generation=subject.generation, now=now)
    return SmbLocationStatus(
        conditions=told,
        server=_server(facts, share),
        dfs_target=_target(share.dfs_target) if share and share.dfs_target else None,
        space=SpaceStatus(free_bytes=share.free_bytes, total_bytes=share.total_bytes) if share else None,
        maximal_access=", ".join(share.maximal_access_names) if share else None,
        identity_generation=None if isinstance(identity, AgentError) else identity.generation,
        last_check_time=now,
        next_check_time=now + _next_check_after(findings, told, subject.spec.check_interval, now),
    )


def _next_check_after(
    findings: tuple[Finding, ...], told: tuple[Condition, ...], check_interval: str, now: datetime
) -> timedelta:
    """The time until the next check: checkInterval if all passed, else less, and longer the longer it has failed."""
    failure = first_failure(findings)
    failed = find(told, failure.type) if failure else None
    return recheck_after(now - failed.last_transition_time) if failed else parse_duration(check_interval)


def _target(found: EngineTarget) -> DfsTarget:
    return DfsTarget(server=found.server, port=found.port, share=found.share, path=found.path)


def _server(facts: LocationFacts, share: ShareFacts | None) -> ServerStatus | None:
    if share is None or facts.asked is None:
        return ServerStatus(addresses=facts.names.addresses) if facts.names.addresses else None
    seen = share.evidence
    return ServerStatus(
        addresses=facts.names.addresses,
        guid=str(share.server_guid) if share.server_guid else None,
        dialect=seen.dialect,
        cipher=seen.cipher,
        signing=seen.signing,
        encryption_required_by_share=seen.share_encryption_required,
        max_read_size=seen.max_read_size,
        max_write_size=seen.max_write_size,
        clock_offset=f"{(share.server_system_time - facts.asked).total_seconds():+.1f}s",
    )
