"""Settings of the installation that decisions depend on."""

from dataclasses import dataclass, field
from datetime import timedelta

from smbferry_api.agent_contract import UserIds
from smbferry_api.pod_settings import PodSettings
from smbferry_operator.decide.limits import RunLimits
from smbferry_operator.model import Manifest


def _default_resources() -> Manifest:
    return {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "2", "memory": "512Mi"}}


def _default_pod() -> PodSettings:
    return PodSettings(resources=_default_resources())


@dataclass(frozen=True, slots=True)
class NetworkRules:
    """Ports that agents' NetworkPolicies allow; ports of file servers come from the locations."""

    kdc_ports: tuple[int, ...] = (88,)
    api_server_ports: tuple[int, ...] = (443, 6443)
    dns_ports: tuple[int, ...] = (53, 5353)


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """How agents run, unless a task says otherwise."""

    image: str
    image_pull_policy: str = "IfNotPresent"
    pod: PodSettings = field(default_factory=_default_pod)
    """Of all agents' pods."""
    check_resources: Manifest = field(default_factory=_default_resources)
    """Of checks, instead of `pod.resources`."""
    user_ids: UserIds = UserIds.FIXED
    start_deadline: timedelta = timedelta(minutes=15)
    """A run fails if its first agent does not start within this time. Waiting for room does not count."""
    run_ttl: timedelta | None = timedelta(days=7)
    """How long an ended run without owner is kept, unless its spec says otherwise; None keeps it."""
    max_concurrent_checks: int = 50
    limits: RunLimits = field(default_factory=RunLimits)
    network: NetworkRules | None = None
    """None if agents get no NetworkPolicy."""
    class_name: str = ""
    """The spec.className of the objects that this operator handles; empty: of those without one."""
