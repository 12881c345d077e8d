"""KerberosIdentity: a Kerberos principal with its keytab, and the result of the last check."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from smbferry_api.class_name import ClassName
from smbferry_api.conditions import Condition
from smbferry_api.fields import DataKey, DurationRange, Nameservers, ObjectName, Spec, Status, Time
from smbferry_api.pod_settings import ObjectPodSettings
from smbferry_api.undelivered import UndeliveredEvents

# name[/instance]@REALM; RFC 4120 section 6.2 allows more, but accounts with keytabs do not need it.
PRINCIPAL_PATTERN: Final = r"^[^@/\s\x00-\x1f]+(/[^@/\s\x00-\x1f]+)?@[^@/\s\x00-\x1f]+$"

MAX_WRONG_KEYS: Final = 8  # times to keep; after two wrong keys no further key is tried


class Enctype(StrEnum):
    """Encryption types that can be permitted (RFC 3962, RFC 8009). RC4 and DES cannot."""

    AES256_SHA1 = "aes256-cts-hmac-sha1-96"
    AES128_SHA1 = "aes128-cts-hmac-sha1-96"
    AES256_SHA384 = "aes256-cts-hmac-sha384-192"
    AES128_SHA256 = "aes128-cts-hmac-sha256-128"


class SecretKeyRef(Spec):
    """A key of a Secret in the same namespace."""

    name: Annotated[ObjectName, Field(description="Name of the Secret.")]
    key: Annotated[DataKey, Field(description="Key in the Secret's data that contains the keytab.")] = "keytab"


class ConfigMapKeyRef(Spec):
    """A key of a ConfigMap in the same namespace."""

    name: Annotated[ObjectName, Field(description="Name of the ConfigMap.")]
    key: Annotated[DataKey, Field(description="Key in the ConfigMap's data that contains the krb5.conf.")] = "krb5.conf"


class Rotation(Spec):
    """The keytab's rotation policy."""

    max_age: Annotated[
        str,
        DurationRange("1h", "87600h"),
        Field(
            description="Maximum age of the keytab. At 90 % of this age, KeytabValid warns with the reason "
            "KeytabAging; the identity stays Ready."
        ),
    ]


class KerberosIdentitySpec(Spec):
    """A principal, its keytab and the krb5.conf of its realm."""

    principal: Annotated[
        str,
        Field(
            min_length=3,
            max_length=512,
            pattern=PRINCIPAL_PATTERN,
            description="Kerberos principal, case-sensitive, such as svc-src@CORP.EXAMPLE.COM or svc/host@REALM.",
        ),
    ]
    keytab_secret_ref: Annotated[
        SecretKeyRef, Field(description="Secret that contains the keytab. It is mounted only into agents.")
    ]
    krb5_config_map_ref: Annotated[
        ConfigMapKeyRef, Field(alias="krb5ConfigMapRef", description="ConfigMap that contains the krb5.conf.")
    ]
    permitted_enctypes: Annotated[
        tuple[Enctype, ...],
        Field(
            min_length=1,
            max_length=4,
            description="Encryption types to request and to accept. RC4 and DES cannot be permitted.",
        ),
    ] = (Enctype.AES256_SHA1, Enctype.AES128_SHA1, Enctype.AES256_SHA384, Enctype.AES128_SHA256)
    clock_skew_tolerance: Annotated[
        str,
        DurationRange("1s", "1h"),
        Field(
            description="Maximum clock offset from the KDC. Beyond it, TimeInSync is False. Domains tolerate 5m "
            "by default."
        ),
    ] = "5m"
    check_interval: Annotated[
        str, DurationRange("1m", "168h"), Field(description="Interval between checks of an unchanged identity.")
    ] = "1h"
    rotation: Annotated[
        Rotation | None,
        Field(description="Rotation policy. If set, smbferry warns before the keytab reaches its maximum age."),
    ] = None
    nameservers: Annotated[
        Nameservers, Field(description="Up to 3 DNS servers for the agent's pod, used instead of the cluster's DNS.")
    ] = ()
    agent: Annotated[
        ObjectPodSettings | None,
        Field(
            description="Settings of the pods that check the identity and, unless they have their own, its locations."
        ),
    ] = None
    class_name: ClassName = None


class KeytabEntry(Status):
    """One key version of a principal in the keytab. Key material is never reported."""

    principal: Annotated[str, Field(description="Principal as written in the keytab.")]
    kvno: Annotated[int, Field(description="Key version.")]
    enctypes: Annotated[tuple[str, ...], Field(description="Encryption types of the keys of this version.")] = ()
    timestamp: Annotated[Time | None, Field(description="Time at which the entry was written.")] = None


class KeytabStatus(Status):
    """Content of the keytab, without keys."""

    fingerprint: Annotated[
        str | None,
        Field(
            description="Fingerprint of these entries, not of the keys. A run's status.security records it to "
            "show which keytab was used."
        ),
    ] = None
    entries: Annotated[
        tuple[KeytabEntry, ...], Field(max_length=64, description="Principals and key versions in the keytab.")
    ] = ()


class KdcStatus(Status):
    """KDC and account as seen in one AS exchange."""

    address: Annotated[str | None, Field(description="Address of the KDC that answered.")] = None
    source: Annotated[str | None, Field(description="Source of the address: krb5.conf or SRV.")] = None
    clock_offset: Annotated[
        str | None,
        Field(description="Clock of the KDC minus clock of the agent, with uncertainty, such as +0.012s ±0.004s."),
    ] = None
    enctypes: Annotated[tuple[str, ...], Field(description="Encryption types for which the account has keys.")] = ()
    kvno: Annotated[int | None, Field(description="Key version that the KDC uses for the account.")] = None
    round_trip: Annotated[str | None, Field(description="Response time of the KDC, such as 3ms.")] = None


class TicketStatus(Status):
    """Ticket-granting ticket of the last check."""

    enctype: Annotated[str | None, Field(description="Encryption type of the session key.")] = None
    end_time: Annotated[Time | None, Field(description="Time at which the ticket expires.")] = None
    renew_until: Annotated[Time | None, Field(description="Time until which the ticket can be renewed.")] = None


class KeyRefusal(Status):
    """A key that the KDC refused. Other agents do not try it again."""

    fingerprint: Annotated[str, Field(description="Fingerprint of the keytab, as in status.keytab.")]
    generation: Annotated[int, Field(description="metadata.generation of the spec when the key was refused.")]
    time: Annotated[Time, Field(description="Time at which the key was refused.")]
    reason: Annotated[str, Field(description="Reason for the refusal.")]
    message: Annotated[str, Field(description="Description of the refusal.")]
    key_version: Annotated[int | None, Field(description="Newest key version that was refused.")] = None


class KeyUse(Status):
    """Use of the key. Agents try it one at a time, because a wrong key counts toward the domain's lockout policy."""

    holder: Annotated[str | None, Field(description="Agent that is trying the key now.")] = None
    refused: KeyRefusal | None = None
    wrong: Annotated[
        tuple[Time, ...],
        Field(max_length=MAX_WRONG_KEYS, description="Times at which the KDC refused a key since a key last worked."),
    ] = ()


class AccountUse(Status):
    """Use of the same account's keys by other identities in any namespace."""

    wrong: Annotated[
        tuple[Time, ...],
        Field(max_length=MAX_WRONG_KEYS, description="Times at which the KDC refused keys of other identities."),
    ] = ()
    stale_key_version: Annotated[
        int | None,
        Field(description="Newest key version that once worked for another identity and that the KDC now refuses."),
    ] = None
    worked_time: Annotated[
        Time | None, Field(description="Time at which a key of another identity last worked, if one works now.")
    ] = None


class KerberosIdentityStatus(Status):
    """Result of the last check."""

    observed_generation: Annotated[
        int, Field(description="metadata.generation of the spec that this status applies to.")
    ] = -1
    conditions: Annotated[
        tuple[Condition, ...], Field(description="Conditions, each with a reason and, if unhealthy, a remedy.")
    ] = ()
    keytab: KeytabStatus | None = None
    kdc: KdcStatus | None = None
    ticket: TicketStatus | None = None
    last_check_time: Annotated[Time | None, Field(description="Time at which the last check finished.")] = None
    last_key_use_time: Annotated[
        Time | None,
        Field(description="Time at which a key was last tried. A refused key is tried again only after checkInterval."),
    ] = None
    key_use: KeyUse | None = None
    account: AccountUse | None = None
    next_check_time: Annotated[Time | None, Field(description="Time of the next check.")] = None
    last_handled_request: Annotated[
        str | None, Field(description="Last processed value of the annotation smbferry.io/requested-at.")
    ] = None
    undelivered_events: UndeliveredEvents = ()
