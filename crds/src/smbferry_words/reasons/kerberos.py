"""Tickets, keys and clocks."""

from smbferry_words.failure_class import FailureClass
from smbferry_words.reason import define

_CONFIGURATION = FailureClass.CONFIGURATION
_IDENTITY = FailureClass.IDENTITY
_POLICY = FailureClass.POLICY
_NETWORK = FailureClass.NETWORK

KDC_UNREACHABLE = define(
    "KdcUnreachable",
    "No KDC of the realm answered.",
    "Check the kdc lines of krb5.conf and that pods can reach the KDC on TCP port 88.",
    _NETWORK,
)
KDC_ERROR = define(
    "KdcError",
    "The KDC answered with an error that has no reason of its own.",
    "Look up the code from the message in RFC 4120 section 7.5.9 and check the KDC's log.",
    _IDENTITY,
)
ENCTYPE_REFUSED = define(
    "EnctypeRefused",
    "The keytab, the account or the ticket has no permitted encryption type (RC4 and DES are refused).",
    "Enable AES on the account (msDS-SupportedEncryptionTypes 24), reset its password and export the keytab again.",
    _POLICY,
)
CLOCK_SKEW = define(
    "ClockSkew",
    "The clocks of this node and the server differ by more than the tolerance.",
    "Synchronize the clocks with NTP. Kerberos refuses tickets if the skew exceeds the domain's tolerance (5 minutes).",
    FailureClass.CLOCK,
)
SERVICE_PRINCIPAL_UNKNOWN = define(
    "ServicePrincipalUnknown",
    "The KDC does not know the service principal, or several accounts have it and the KDC does not say so.",
    "Check with setspn -Q that exactly one account has the name, or set spec.servicePrincipal.",
    _IDENTITY,
)
REALM_MAPPING_MISSING = define(
    "RealmMappingMissing",
    "krb5.conf does not define the file server's realm, or how to find the KDCs of that realm.",
    "Map the host or its domain in [domain_realm] of krb5.conf, and add a kdc line or SRV records for that realm.",
    _CONFIGURATION,
)
TICKET_MISSING = define(
    "TicketMissing",
    "The credential cache contains no usable ticket.",
    "Check the KerberosIdentity's conditions. If they are healthy, check the agent's log.",
    _IDENTITY,
)
TICKET_EXPIRED = define(
    "TicketExpired",
    "The ticket expired before the work was done.",
    "If it happens once, no action is needed: the next attempt gets a new ticket.",
    _NETWORK,
)
