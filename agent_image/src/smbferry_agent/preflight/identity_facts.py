"""What the identity probe gathers."""

from dataclasses import dataclass

from smbferry_agent.errors import AgentError
from smbferry_agent.kerberos.facts import AccountFacts, Discovery
from smbferry_agent.kerberos.keytab import Keytab
from smbferry_agent.kerberos.krb5_config import Krb5Config


@dataclass(frozen=True, slots=True)
class Refusal:
    """An earlier verdict against the key, kept because the keytab has not changed since."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class IdentityFacts:
    """Facts of one identity. What could not be had is the error that says why, or None where it was not tried.

    Attributes:
        kept: set when a key was not tried, because the KDC refused it before and it is still the same.
        worked_before: an earlier check got a ticket by this very keytab.
    """

    config: Krb5Config | AgentError
    keytab: Keytab | AgentError
    discovery: Discovery | None = None
    account: AccountFacts | None = None
    kept: Refusal | None = None
    worked_before: bool = False
