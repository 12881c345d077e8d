"""KerberosIdentity: who smbferry is towards a KDC, and what the last check found."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from smbferry_api.conditions import Condition
from smbferry_api.fields import DataKey, DurationRange, Nameservers, ObjectName, Spec, Status, Time

# name[/instance]@REALM; RFC 4120 section 6.2 allows more, but no account that a keytab is made for needs it.
PRINCIPAL_PATTERN: Final = r"^[^@/\s\x00-\x1f]+(/[^@/\s\x00-\x1f]+)?@[^@/\s\x00-\x1f]+$"

MAX_WRONG_KEYS: Final = 8  # moments that are remembered; two already keep the next key from being tried


class Enctype(StrEnum):
    """Encryption types that may be permitted (RFC 3962, RFC 8009); RC4 and DES can't be."""

    AES256_SHA1 = "aes256-cts-hmac-sha1-96"
    AES128_SHA1 = "aes128-cts-hmac-sha1-96"
    AES256_SHA384 = "aes256-cts-hmac-sha384-192"
    AES128_SHA256 = "aes128-cts-hmac-sha256-128"


class SecretKeyRef(Spec):
    """A key of a Secret in the same namespace."""

    name: Annotated[ObjectName, Field(description="The Secret's name.")]
    key: Annotated[DataKey, Field(description="The key of its data that holds the keytab.")] = "keytab"


class ConfigMapKeyRef(Spec):
    """A key of a ConfigMap in the same namespace."""

    name: Annotated[ObjectName, Field(description="The ConfigMap's name.")]
    key: Annotated[DataKey, Field(description="The key of its data that holds the krb5.conf.")] = "krb5.conf"


class Rotation(Spec):
    """How the keytab is expected to be replaced."""

    max_age: Annotated[
        str,
        DurationRange("1h", "87600h"),
        Field(
            description="How old the keytab may become. KeytabValid warns of KeytabAging in the last tenth of it, "
            "and beyond; the identity stays Ready."
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
            description="The Kerberos principal, case-sensitive: svc-src@CORP.EXAMPLE.COM or svc/host@REALM.",
        ),
    ]
    keytab_secret_ref: Annotated[
        SecretKeyRef, Field(description="The Secret that holds the keytab. It is mounted into agents only.")
    ]
    krb5_config_map_ref: Annotated[
        ConfigMapKeyRef, Field(alias="krb5ConfigMapRef", description="The ConfigMap that holds the krb5.conf.")
    ]
    permitted_enctypes: Annotated[
        tuple[Enctype, ...],
        Field(
            min_length=1,
            max_length=4,
            description="Encryption types to ask for and to accept. RC4 and DES can't be permitted.",
        ),
    ] = (Enctype.AES256_SHA1, Enctype.AES128_SHA1, Enctype.AES256_SHA384, Enctype.AES128_SHA256)
    clock_skew_tolerance: Annotated[
        str,
        DurationRange("1s", "1h"),
        Field(description="The clock offset towards the KDC beyond which TimeInSync is False; domains tolerate 5m."),
    ] = "5m"
    check_interval: Annotated[
        str, DurationRange("1m", "168h"), Field(description="How often the identity is checked when nothing changes.")
    ] = "1h"
    rotation: Annotated[
        Rotation | None, Field(description="When set, a keytab that grows old is warned of before it is too old.")
    ] = None
    nameservers: Annotated[
        Nameservers, Field(description="Up to 3 DNS servers for the agent's pod, in place of the cluster's.")
    ] = ()


class KeytabEntry(Status):
    """A principal's key version in the keytab. Key material is never reported."""

    principal: Annotated[str, Field(description="The principal as the keytab spells it.")]
    kvno: Annotated[int, Field(description="The key version.")]
    enctypes: Annotated[tuple[str, ...], Field(description="Encryption types of this version's keys.")] = ()
    timestamp: Annotated[Time | None, Field(description="When the entry was written.")] = None


class KeytabStatus(Status):
    """What the keytab holds."""

    fingerprint: Annotated[
        str | None,
        Field(description="Stands for these entries and never for keys; a run's evidence shows which keytab it used."),
    ] = None
    entries: Annotated[
        tuple[KeytabEntry, ...], Field(max_length=64, description="Which keys of whom it holds, without the keys.")
    ] = ()


class KdcStatus(Status):
    """What one AS exchange told of the KDC and the account."""

    address: Annotated[str | None, Field(description="The KDC that answered.")] = None
    source: Annotated[str | None, Field(description="Where the address came from: krb5.conf or SRV.")] = None
    clock_offset: Annotated[
        str | None, Field(description="KDC's clock minus ours, signed, with its uncertainty: +0.012s ±0.004s.")
    ] = None
    enctypes: Annotated[tuple[str, ...], Field(description="Encryption types that the account has keys of.")] = ()
    kvno: Annotated[int | None, Field(description="The key version that the KDC uses for the account.")] = None
    round_trip: Annotated[str | None, Field(description="How long the KDC took to answer: 3ms.")] = None


class TicketStatus(Status):
    """The ticket-granting ticket of the last check."""

    enctype: Annotated[str | None, Field(description="The encryption type of its session key.")] = None
    end_time: Annotated[Time | None, Field(description="When it ends.")] = None
    renew_until: Annotated[Time | None, Field(description="Until when it may be renewed.")] = None


class KeyRefusal(Status):
    """A key that the KDC refused to an agent, which no other agent then tries."""

    fingerprint: Annotated[str, Field(description="Of the keytab, as status.keytab has it.")]
    generation: Annotated[int, Field(description="metadata.generation of the spec at that time.")]
    time: Annotated[Time, Field(description="When it was refused.")]
    reason: Annotated[str, Field(description="What was found of it.")]
    message: Annotated[str, Field(description="The same in words.")]
    key_version: Annotated[int | None, Field(description="The newest key version that was refused.")] = None


class KeyUse(Status):
    """Agents try the key one after the other: a wrong one counts towards the domain's lockout policy."""

    holder: Annotated[str | None, Field(description="The agent that tries it just now.")] = None
    refused: KeyRefusal | None = None
    wrong: Annotated[
        tuple[Time, ...],
        Field(max_length=MAX_WRONG_KEYS, description="When the KDC refused a key, since one of them last worked."),
    ] = ()


class AccountUse(Status):
    """What other identities of the same account, of any namespace, mean for the key of this one."""

    wrong: Annotated[
        tuple[Time, ...], Field(max_length=MAX_WRONG_KEYS, description="When the KDC refused keys of theirs.")
    ] = ()
    stale_key_version: Annotated[
        int | None,
        Field(description="The newest key version that served one of them, and that the KDC refuses by now."),
    ] = None
    worked_time: Annotated[
        Time | None, Field(description="When the key of one of them last worked, if one of them works.")
    ] = None


class KerberosIdentityStatus(Status):
    """What the last check found."""

    observed_generation: Annotated[
        int, Field(description="metadata.generation of the spec that this status is about.")
    ] = -1
    conditions: Annotated[
        tuple[Condition, ...], Field(description="What is so and what is not, each with a reason and what to do.")
    ] = ()
    keytab: KeytabStatus | None = None
    kdc: KdcStatus | None = None
    ticket: TicketStatus | None = None
    last_check_time: Annotated[Time | None, Field(description="When the last check ended.")] = None
    last_key_use_time: Annotated[
        Time | None,
        Field(description="When a key was last tried. One that was refused is tried again after checkInterval only."),
    ] = None
    key_use: KeyUse | None = None
    account: AccountUse | None = None
    next_check_time: Annotated[Time | None, Field(description="When the next one is due.")] = None
    last_handled_request: Annotated[
        str | None, Field(description="The value of the annotation smbferry.io/requested-at that was last acted on.")
    ] = None
