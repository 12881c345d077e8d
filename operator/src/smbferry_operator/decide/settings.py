"""What the person who installs the operator may choose and decisions depend on."""

from dataclasses import dataclass, field
from datetime import timedelta

from smbferry_operator.model import Manifest


def _default_resources() -> Manifest:
    return {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "2", "memory": "512Mi"}}


@dataclass(frozen=True, slots=True)
class NetworkRules:
    """The ports that agents' NetworkPolicies open; those of file servers stand in the locations."""

    kdc_ports: tuple[int, ...] = (88,)
    api_server_ports: tuple[int, ...] = (443, 6443)
    dns_ports: tuple[int, ...] = (53, 5353)


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """How agents are run where a task says nothing else."""

    image: str
    image_pull_policy: str = "IfNotPresent"
    image_pull_secrets: tuple[str, ...] = ()
    resources: Manifest = field(default_factory=_default_resources)
    check_resources: Manifest = field(default_factory=_default_resources)
    start_deadline: timedelta = timedelta(minutes=15)
    """How long a run's agent that never reported may fail to start before the run has failed; no room is no failure."""
    priority_class: str = ""
    """Of agents whose task names none, and of checks."""
    run_ttl: timedelta | None = timedelta(days=7)
    """How long a run that nobody owns is kept after its end where it says nothing itself; None: it is kept."""
    max_concurrent_checks: int = 50
    network: NetworkRules | None = None
    """None where agents get no NetworkPolicy."""
