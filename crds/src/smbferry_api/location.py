"""SmbLocation: a folder on a share, with the identity that opens it."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from smbferry_api.conditions import Condition
from smbferry_api.fields import SHARE_PATTERN, DurationRange, Nameservers, ObjectName, SharePath, Spec, Status, Time

# RFC 1123, with underscores, which Windows host names may hold.
HOST_PATTERN: Final = r"^[A-Za-z0-9_]([-A-Za-z0-9_]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([-A-Za-z0-9_]*[A-Za-z0-9_])?)*\.?$"
ADDRESS_RULE: Final = {
    "rule": "!self.matches('^[0-9.]+$')",
    "message": "an IP address can't be used: Kerberos tickets are for names. Give the server's DNS name",
}
SERVICE_PRINCIPAL_PATTERN: Final = r"^[A-Za-z][-A-Za-z0-9]*/[^@/\s\x00-\x1f]+(@[^@/\s\x00-\x1f]+)?$"


class Cipher(StrEnum):
    """SMB 3.1.1 ciphers (MS-SMB2 2.2.3.1.2)."""

    AES_256_GCM = "AES-256-GCM"
    AES_128_GCM = "AES-128-GCM"
    AES_256_CCM = "AES-256-CCM"
    AES_128_CCM = "AES-128-CCM"


class Dialect(StrEnum):
    """SMB dialects that can encrypt and that may be permitted."""

    SMB_3_1_1 = "3.1.1"
    SMB_3_0_2 = "3.0.2"


def _not_an_address(value: str) -> str:
    if all(c in "0123456789." for c in value):
        raise ValueError(f"{value!r}: {ADDRESS_RULE['message']}")
    return value


class IdentityRef(Spec):
    """A KerberosIdentity in the same namespace."""

    name: Annotated[ObjectName, Field(description="The KerberosIdentity's name.")]


class SmbLocationSpec(Spec):
    """Server, share and path, and how it may be spoken to."""

    server: Annotated[
        str,
        Field(
            min_length=1,
            max_length=253,
            pattern=HOST_PATTERN,
            description="The file server's DNS name.",
            json_schema_extra={"x-kubernetes-validations": [ADDRESS_RULE]},
        ),
        AfterValidator(_not_an_address),
    ]
    port: Annotated[int, Field(ge=1, le=65535, description="The TCP port of the SMB service.")] = 445
    share: Annotated[
        str, Field(min_length=1, max_length=80, pattern=SHARE_PATTERN, description="The share's name, no path.")
    ]
    path: Annotated[SharePath, Field(description="The folder inside the share that everything stays within.")] = "/"
    identity_ref: Annotated[IdentityRef, Field(description="The KerberosIdentity that opens the share.")]
    service_principal: Annotated[
        str | None,
        Field(
            max_length=512,
            pattern=SERVICE_PRINCIPAL_PATTERN,
            description="The server's service principal; by default cifs/<server>.",
        ),
    ] = None
    ciphers: Annotated[
        tuple[Cipher, ...],
        Field(min_length=1, max_length=4, description="Permitted ciphers, best first. CCM only when listed."),
    ] = (Cipher.AES_256_GCM, Cipher.AES_128_GCM)
    dialects: Annotated[
        tuple[Dialect, ...],
        Field(min_length=1, max_length=2, description="Permitted dialects. 3.0.2 only when listed."),
    ] = (Dialect.SMB_3_1_1,)
    nameservers: Annotated[
        Nameservers, Field(description="Up to 3 DNS servers for the agent's pod, in place of the cluster's.")
    ] = ()
    check_interval: Annotated[
        str, DurationRange("1m", "168h"), Field(description="How often the location is checked when nothing changes.")
    ] = "1h"

    @property
    def target(self) -> str:
        """The service principal that a ticket is asked for."""
        return self.service_principal or f"cifs/{self.server.rstrip('.')}"


class ServerStatus(Status):
    """What the server negotiated."""

    addresses: Annotated[tuple[str, ...], Field(max_length=16, description="What the name resolved to.")] = ()
    guid: Annotated[
        str | None,
        Field(
            max_length=36,
            description="The server's own identifier (ServerGuid), the same by whatever name it is reached. "
            "Absent if the server sends none.",
        ),
    ] = None
    dialect: Annotated[str | None, Field(description="The SMB dialect agreed on.")] = None
    cipher: Annotated[str | None, Field(description="The cipher agreed on.")] = None
    signing: Annotated[str | None, Field(description="The signing algorithm, and whether the server requires it.")] = (
        None
    )
    encryption_required_by_share: Annotated[
        bool | None, Field(description="Whether the share itself demands encryption. smbferry encrypts either way.")
    ] = None
    max_read_size: Annotated[int | None, Field(description="Bytes.")] = None
    max_write_size: Annotated[int | None, Field(description="Bytes.")] = None
    clock_offset: Annotated[str | None, Field(description="File server's clock minus ours, signed.")] = None


class SpaceStatus(Status):
    """Space on the share, as this identity may use it."""

    free_bytes: Annotated[int, Field(description="What this identity may still write.")]
    total_bytes: Annotated[int, Field(description="The size of the file system, or of the identity's quota.")]


class DfsTarget(Status):
    """A folder on a share, behind all links of a DFS namespace."""

    server: Annotated[str, Field(max_length=253, description="The file server's DNS name.")]
    port: Annotated[int, Field(ge=1, le=65535, description="Its TCP port.")] = 445
    share: Annotated[str, Field(max_length=80, description="The share's name.")]
    path: Annotated[str, Field(max_length=4096, description="The folder inside the share.")] = "/"

    def below(self, path: str) -> "DfsTarget":
        """The folder at ``path`` below this one."""
        parts = [part for part in f"{self.path}/{path}".split("/") if part]
        return self.model_copy(update={"path": "/" + "/".join(parts)})


class SmbLocationStatus(Status):
    """What the last check found."""

    observed_generation: Annotated[
        int, Field(description="metadata.generation of the spec that this status is about.")
    ] = -1
    conditions: Annotated[
        tuple[Condition, ...], Field(description="What is so and what is not, each with a reason and what to do.")
    ] = ()
    server: ServerStatus | None = None
    dfs_target: Annotated[
        DfsTarget | None,
        Field(description="Where the path leads by DFS; server and space are about that. Absent for any other path."),
    ] = None
    space: SpaceStatus | None = None
    maximal_access: Annotated[
        str | None, Field(description="What the server grants the identity on the path: read, write, delete, …")
    ] = None
    identity_generation: Annotated[
        int | None, Field(description="metadata.generation of the KerberosIdentity that the check used.")
    ] = None
    last_check_time: Annotated[Time | None, Field(description="When the last check ended.")] = None
    next_check_time: Annotated[Time | None, Field(description="When the next one is due.")] = None
    last_handled_request: Annotated[
        str | None, Field(description="The value of the annotation smbferry.io/requested-at that was last acted on.")
    ] = None
