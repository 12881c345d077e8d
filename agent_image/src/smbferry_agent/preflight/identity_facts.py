"""The facts that the identity probe collects."""

from dataclasses import dataclass

from smbferry_agent.errors import AgentError
from smbferry_agent.kerberos.facts import AccountFacts, Discovery
from smbferry_agent.kerberos.keytab import Keytab
from smbferry_agent.kerberos.krb5_config import Krb5Config


@dataclass(frozen=True, slots=True)
class Refusal:
    """An earlier refusal of the key, kept because the keytab has not changed."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class IdentityFacts:
    """Facts of one identity. A fact that could not be collected is the error that says why, None if it was not tried.

    Attributes:
        kept: set if no key was tried because the KDC refused it before.
        worked_before: an earlier check got a ticket with this keytab.
    """

    config: Krb5Config | AgentError
    keytab: Keytab | AgentError
    discovery: Discovery | None = None
    account: AccountFacts | None = None
    kept: Refusal | None = None
    worked_before: bool = False
