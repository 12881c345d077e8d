"""DNS, time, the KDC, and the tickets that it gives."""

from smbferry_api.exit_codes import FailureClass
from smbferry_api.reason import define

_CONFIGURATION = FailureClass.CONFIGURATION
_IDENTITY = FailureClass.IDENTITY
_NETWORK = FailureClass.NETWORK
_DNS = FailureClass.DNS

SRV_RECORD_MISSING = define(
    "SrvRecordMissing",
    "krb5.conf names no KDC for the realm and DNS has no _kerberos SRV record for it.",
    "Add the SRV record, set spec.nameservers to the domain's DNS servers, or name a kdc in krb5.conf.",
    _DNS,
)
NAME_NOT_FOUND = define(
    "NameNotFound",
    "DNS says that the name does not exist, or has no address.",
    "Correct the name, or set spec.nameservers to DNS servers that know it.",
    _DNS,
)
DNS_TIMEOUT = define(
    "DnsTimeout",
    "No DNS server answered in time.",
    "Check that pods may reach the DNS servers on port 53, or set spec.nameservers.",
    _DNS,
)
DNS_FAILED = define(
    "DnsFailed",
    "The DNS servers answered with an error of their own, neither yes nor no.",
    "Look at the DNS servers that the message names, or set spec.nameservers to others.",
    _DNS,
)
REVERSE_RECORD_WRONG = define(
    "ReverseRecordWrong",
    "The address resolves, but its reverse record names another host (a warning only).",
    "Correct or remove the PTR record; smbferry itself does not use it.",
)
KDC_UNREACHABLE = define(
    "KdcUnreachable",
    "No KDC of the realm answered.",
    "Check that pods may reach the KDC on TCP port 88, and the kdc lines of krb5.conf.",
    _NETWORK,
)
KDC_REFUSED = define(
    "KdcRefused",
    "The KDC's host refused the connection: nothing listens on its Kerberos port over TCP.",
    "Check the kdc lines of krb5.conf, and that the KDC runs and listens on TCP port 88: UDP alone is not enough.",
    _NETWORK,
)
KDC_PROXY_NOT_SUPPORTED = define(
    "KdcProxyNotSupported",
    "krb5.conf names the realm's KDC by a URL, a KDC proxy (MS-KKDCP), which smbferry does not use.",
    "Name a KDC by its host name or address in a kdc line, and let pods reach it on TCP port 88.",
    _CONFIGURATION,
)
KDC_UNAVAILABLE = define(
    "KdcUnavailable",
    "The KDC answered that it can't serve now.",
    "Look at the domain controller: it may be starting, or have lost its database; the check repeats by itself.",
    _NETWORK,
)
NOT_A_KDC = define(
    "NotAKdc",
    "What answers at the KDC's address and port does not speak Kerberos.",
    "Check the host and port of the kdc lines in krb5.conf, and what stands between pods and the KDC.",
    _NETWORK,
)
WRONG_REALM = define(
    "WrongRealm",
    "The KDC answered that it does not serve this realm.",
    "Correct the realm of spec.principal, or the kdc lines of krb5.conf.",
    _CONFIGURATION,
)
CLOCK_SKEW = define(
    "ClockSkew",
    "This node's clock and the server's differ by more than the tolerance.",
    "Set the clocks by NTP: Kerberos refuses tickets beyond the skew that the domain tolerates (5 minutes).",
    FailureClass.CLOCK,
)

SERVICE_PRINCIPAL_UNKNOWN = define(
    "ServicePrincipalUnknown",
    "The KDC knows no such service principal, or more than one account holds it and the KDC does not say so.",
    "Check with setspn -Q that exactly one account holds the name, or set spec.servicePrincipal.",
    _IDENTITY,
)
SERVICE_PRINCIPAL_DUPLICATE = define(
    "ServicePrincipalDuplicate",
    "More than one account holds the service principal, so the KDC can't choose a key.",
    "Find the accounts with setspn -X, and take the name from all but the file server's own: setspn -D.",
    _IDENTITY,
)
REALM_MAPPING_MISSING = define(
    "RealmMappingMissing",
    "krb5.conf does not say which realm the file server is in, or where the KDCs of that realm are.",
    "Map the host or its domain in [domain_realm] of krb5.conf, and give that realm a kdc line or SRV records.",
    _CONFIGURATION,
)
TRUST_MISSING = define(
    "TrustMissing",
    "The identity's realm gives no ticket for the realm of the file server: no trust leads there.",
    "Create the trust between the realms, or name the realms between them in [capaths] of krb5.conf.",
    _CONFIGURATION,
)
TICKET_MISSING = define(
    "TicketMissing",
    "The credential cache holds no usable ticket.",
    "Look at the KerberosIdentity's conditions; if they are healthy, look at the agent's log.",
    _IDENTITY,
)
TICKET_EXPIRED = define(
    "TicketExpired",
    "The ticket ended before the work did.",
    "Nothing, if it happens once: the next attempt gets a fresh ticket.",
    _NETWORK,
)
