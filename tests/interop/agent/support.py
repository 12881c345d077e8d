"""Identities and locations of the lab's domain as the agent is given them: mounts in a folder, a status in memory."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smbferry_agent.checks import check_identity, check_location
from smbferry_agent.kerberos.addresses import AddressRule, forbidden
from smbferry_agent.mounts import IdentityMount
from smbferry_agent.preflight.identity_probe import IdentitySubject
from smbferry_agent.preflight.location_probe import LocationSubject
from smbferry_api.identity import KerberosIdentitySpec, KerberosIdentityStatus
from smbferry_api.location import SmbLocationSpec

if TYPE_CHECKING:
    from lab.support.domain.domain import Domain

    from smbferry_agent.errors import AgentError


ROOT = Path(__file__).resolve().parents[3]
CHECK_ONCE = Path(__file__).with_name("check_once.py")
VERDICT_SECONDS = 30  # whatever is wrong, a check has said so by then


class MemorySink:
    """Keeps the last status that was written."""

    def __init__(self) -> None:
        self.status: dict[str, Any] = {}

    def write(self, status: dict[str, Any]) -> None:
        self.status = status


@dataclasses.dataclass
class Checked:
    """A check's end."""

    failure: AgentError | None
    status: dict[str, Any]

    def reason(self, type_: str) -> str:
        return str(self._condition(type_)["reason"])

    def message(self, type_: str) -> str:
        return str(self._condition(type_)["message"])

    def statuses(self) -> dict[str, str]:
        return {c["type"]: c["status"] for c in self.status["conditions"]}

    def _condition(self, type_: str) -> dict[str, Any]:
        return next(c for c in self.status["conditions"] if c["type"] == type_)


@dataclasses.dataclass
class Identity:
    """One identity's mounts; fields may be changed between checks."""

    folder: Path
    domain: Domain
    principal: str
    generation: int = 1
    check_interval: str = "1h"
    permitted: tuple[str, ...] = ("aes256-cts-hmac-sha1-96", "aes128-cts-hmac-sha1-96")
    nameservers: tuple[str, ...] = ()
    previous: dict[str, Any] = dataclasses.field(default_factory=dict)
    requested: bool = False
    rotation: dict[str, str] | None = None
    address_rule: AddressRule = forbidden

    def __post_init__(self) -> None:
        for part in ("keytab", "krb5"):
            (self.folder / part).mkdir(parents=True)
        self.config(default_config(self.domain))

    def keytab(self, data: bytes) -> Identity:
        (self.folder / "keytab" / "keytab").write_bytes(data)
        return self

    def config(self, text: str) -> Identity:
        (self.folder / "krb5" / "krb5.conf").write_text(text)
        return self

    def subject(self) -> IdentitySubject:
        spec = KerberosIdentitySpec.model_validate(
            {
                "principal": self.principal,
                "keytabSecretRef": {"name": "keytab-secret"},
                "krb5ConfigMapRef": {"name": "krb5-config"},
                "permittedEnctypes": self.permitted,
                "checkInterval": self.check_interval,
                "nameservers": self.nameservers,
                "rotation": self.rotation,
            }
        )
        return IdentitySubject(
            spec=spec,
            generation=self.generation,
            mount=IdentityMount(self.folder / "keytab", self.folder / "krb5"),
            scratch=self.folder / "scratch",
            address_rule=self.address_rule,
            requested=self.requested,
            previous=self.identity_status(),
        )

    def identity_status(self) -> KerberosIdentityStatus:
        """The status that the last check left."""
        return KerberosIdentityStatus.model_validate(self.previous)

    def check(self, now: datetime | None = None) -> Checked:
        sink = MemorySink()
        began = time.monotonic()
        failure = check_identity(self.subject(), sink, now or datetime.now(UTC))
        assert time.monotonic() - began < VERDICT_SECONDS
        self.previous = sink.status
        assert not (self.folder / "scratch").exists(), "tickets are wiped"
        return Checked(failure, sink.status)

    def check_location(self, **spec: Any) -> Checked:
        wanted = {
            "server": self.domain.server,
            "share": "src",
            "identityRef": {"name": "identity"},
            "nameservers": [self.domain.address],
        }
        parsed = SmbLocationSpec.model_validate({**wanted, **spec})
        sink = MemorySink()
        began = time.monotonic()
        failure = check_location(LocationSubject(parsed, 1, self.subject()), sink, datetime.now(UTC))
        assert time.monotonic() - began < VERDICT_SECONDS
        return Checked(failure, sink.status)


def check_at(identity: Identity, offset: str) -> Checked:
    """The check in a process of its own, whose clock is set off by faketime: +6m, -6m."""
    faketime = shutil.which("faketime")
    assert faketime, "faketime is not installed"
    paths = os.pathsep.join(str(ROOT / part) for part in ("crds/src", "agent_image/src"))
    spec = identity.subject().spec.model_dump_json(by_alias=True)
    done = subprocess.run(
        [faketime, "-f", offset, sys.executable, CHECK_ONCE, identity.folder, spec],
        env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, timeout=VERDICT_SECONDS, check=True,
    )  # fmt: skip
    return Checked(None, json.loads(done.stdout))


def default_config(domain: Domain, kdc: str | None = None) -> str:
    lower = domain.realm.lower()
    return f"""[libdefaults]
    default_realm = {domain.realm}
[realms]
    {domain.realm} = {{
        kdc = {kdc or domain.address}
    }}
[domain_realm]
    .{lower} = {domain.realm}
    {lower} = {domain.realm}
"""
