"""DNS, clocks, KDCs and tickets."""

from smbferry_words.failure_class import FailureClass
from smbferry_words.reason import define

_CONFIGURATION = FailureClass.CONFIGURATION
_IDENTITY = FailureClass.IDENTITY
_NETWORK = FailureClass.NETWORK
_DNS = FailureClass.DNS

SRV_RECORD_MISSING = define(
    "SrvRecordMissing",
    "krb5.conf names no KDC for the realm and DNS has no _kerberos SRV record for it.",
    "Add the SRV record, set spec.nameservers to the domain's DNS servers, or add a kdc to krb5.conf.",
    _DNS,
)
NAME_NOT_FOUND = define(
    "NameNotFound",
    "According to DNS, the name does not exist or has no address.",
    "Correct the name, or set spec.nameservers to DNS servers that know it.",
    _DNS,
)
DNS_TIMEOUT = define(
    "DnsTimeout",
    "No DNS server answered in time.",
    "Check that pods can reach the DNS servers on port 53, or set spec.nameservers.",
    _DNS,
)
DNS_FAILED = define(
    "DnsFailed",
    "The DNS servers returned an error such as SERVFAIL or REFUSED.",
    "Check the DNS servers named in the message, or set spec.nameservers to others.",
    _DNS,
)
REVERSE_RECORD_WRONG = define(
    "ReverseRecordWrong",
    "The server's address has a reverse record that names another host (a warning only).",
    "Correct or remove the PTR record. smbferry does not use it.",
)
KDC_REFUSED = define(
    "KdcRefused",
    "The KDC's host refused the connection: nothing is listening on its Kerberos TCP port.",
    "Check the kdc lines of krb5.conf and that the KDC is listening on TCP port 88. UDP alone is not enough.",
    _NETWORK,
)
KDC_PROXY_NOT_SUPPORTED = define(
    "KdcProxyNotSupported",
    "krb5.conf names the realm's KDC by the URL of a KDC proxy (MS-KKDCP), which smbferry does not support.",
    "Add a kdc line with the host name or address of a KDC, and let pods reach it on TCP port 88.",
    _CONFIGURATION,
)
KDC_UNAVAILABLE = define(
    "KdcUnavailable",
    "The KDC reports that it is temporarily unavailable.",
    "Check the domain controller: it may be starting or have a database problem. smbferry repeats the check "
    "automatically.",
    _NETWORK,
)
NOT_A_KDC = define(
    "NotAKdc",
    "The service at the KDC's address and port does not speak Kerberos.",
    "Check the host and port of the kdc lines in krb5.conf, and any proxy between pods and the KDC.",
    _NETWORK,
)
WRONG_REALM = define(
    "WrongRealm",
    "The KDC reports that it does not serve this realm.",
    "Correct the realm of spec.principal, or the kdc lines of krb5.conf.",
    _CONFIGURATION,
)

SERVICE_PRINCIPAL_DUPLICATE = define(
    "ServicePrincipalDuplicate",
    "Several accounts have the service principal, so the KDC cannot choose a key.",
    "Find the accounts with setspn -X and remove the name with setspn -D from all but the file server's account.",
    _IDENTITY,
)
TRUST_MISSING = define(
    "TrustMissing",
    "The identity's realm issues no ticket for the file server's realm because no trust leads there.",
    "Create a trust between the realms, or list the intermediate realms in [capaths] of krb5.conf.",
    _CONFIGURATION,
)
