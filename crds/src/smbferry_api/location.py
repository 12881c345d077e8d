"""SmbLocation: a folder on an SMB share, and the identity that opens it."""

from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, model_validator

from smbferry_api.class_name import ClassName
from smbferry_api.conditions import Condition
from smbferry_api.fields import (
    SHARE_PATTERN,
    DurationRange,
    Nameservers,
    ObjectName,
    Quantity,
    SharePath,
    Spec,
    Status,
    Time,
    parse_quantity,
)
from smbferry_api.pod_settings import ObjectPodSettings
from smbferry_api.sharing import AllowedNamespaces
from smbferry_api.undelivered import UndeliveredEvents
from smbferry_words.smb import Cipher, Dialect

# RFC 1123, plus underscores, which Windows host names may contain.
HOST_PATTERN: Final = r"^[A-Za-z0-9_]([-A-Za-z0-9_]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([-A-Za-z0-9_]*[A-Za-z0-9_])?)*\.?$"
ADDRESS_RULE: Final = {
    "rule": "!self.matches('^[0-9.]+$')",
    "message": "expected a DNS name, got an IP address; Kerberos tickets are for names",
}
SERVICE_PRINCIPAL_PATTERN: Final = r"^[A-Za-z][-A-Za-z0-9]*/[^@/\s\x00-\x1f]+(@[^@/\s\x00-\x1f]+)?$"


def _not_an_address(value: str) -> str:
    if all(c in "0123456789." for c in value):
        raise ValueError(ADDRESS_RULE["message"])
    return value


class IdentityRef(Spec):
    """A KerberosIdentity in the same namespace."""

    name: Annotated[ObjectName, Field(description="Name of the KerberosIdentity.")]


CONCURRENT_RUNS_POSITIVE: Final = {
    "rule": "!has(self.concurrentRuns) || self.concurrentRuns >= 1",
    "message": "concurrentRuns: expected at least 1; leave it out for no limit, or suspend the tasks to stop new runs",
}
RATE_POSITIVE: Final = {
    "rule": "!has(self.bytesPerSecond) || quantity(string(self.bytesPerSecond)).compareTo(quantity('1')) >= 0",
    "message": "bytesPerSecond: expected a byte quantity of at least 1, such as 50Mi; leave it out for no limit, or"
    " suspend the tasks to stop new runs",
}


class LocationLimits(Spec):
    """Limits of all runs together that use the location as their source or destination."""

    concurrent_runs: Annotated[
        int | None,
        Field(
            le=1_000_000,
            description="Maximum number of agents at a time. A run has one agent unless its task sets "
            "agent.parallelism. Further runs wait. Default: unlimited.",
        ),
    ] = None
    bytes_per_second: Annotated[
        Quantity | None,
        Field(
            description="Bandwidth such as 50Mi, divided equally among the active runs. A task's own "
            "options.bytesPerSecond still applies. Changes take effect within a minute. Default: unlimited."
        ),
    ] = None

    @property
    def rate(self) -> int | None:
        """bytesPerSecond in bytes, None if it is unlimited."""
        return None if self.bytes_per_second is None else parse_quantity(self.bytes_per_second)

    @model_validator(mode="before")
    @classmethod
    def _are_positive(cls, given: Any) -> Any:
        """Refuses a zero in the same words as the API server, before the types of the fields say it in others."""
        if isinstance(given, dict):
            runs = given.get("concurrentRuns", given.get("concurrent_runs"))
            if isinstance(runs, int) and runs < 1:
                raise ValueError(CONCURRENT_RUNS_POSITIVE["message"])
            rate = given.get("bytesPerSecond", given.get("bytes_per_second"))
            if rate is not None and _is_below_one(rate):
                raise ValueError(RATE_POSITIVE["message"])
        return given


def _is_below_one(quantity: Any) -> bool:
    try:
        return str(quantity).strip().startswith("-") or parse_quantity(quantity) < 1
    except ValueError as error:
        return "at least one byte" in str(error)


NO_LIMITS: Final = LocationLimits()
LOCATION_RULES: Final[dict[type[Spec], list[dict[str, Any]]]] = {
    LocationLimits: [CONCURRENT_RUNS_POSITIVE, RATE_POSITIVE]
}


class SmbLocationSpec(Spec):
    """Server, share and path, and the permitted dialects and ciphers."""

    server: Annotated[
        str,
        Field(
            min_length=1,
            max_length=253,
            pattern=HOST_PATTERN,
            description="DNS name of the file server.",
            json_schema_extra={"x-kubernetes-validations": [ADDRESS_RULE]},
        ),
        AfterValidator(_not_an_address),
    ]
    port: Annotated[int, Field(ge=1, le=65535, description="TCP port of the SMB service.")] = 445
    share: Annotated[
        str, Field(min_length=1, max_length=80, pattern=SHARE_PATTERN, description="Name of the share, without a path.")
    ]
    path: Annotated[SharePath, Field(description="Folder in the share. smbferry accesses nothing outside it.")] = "/"
    identity_ref: Annotated[IdentityRef, Field(description="KerberosIdentity that opens the share.")]
    service_principal: Annotated[
        str | None,
        Field(
            max_length=512,
            pattern=SERVICE_PRINCIPAL_PATTERN,
            description="Service principal of the server. Default: cifs/<server>.",
        ),
    ] = None
    ciphers: Annotated[
        tuple[Cipher, ...],
        Field(
            min_length=1,
            max_length=4,
            description="Permitted ciphers in order of preference. CCM ciphers are used only if listed.",
        ),
    ] = (Cipher.AES_256_GCM, Cipher.AES_128_GCM)
    dialects: Annotated[
        tuple[Dialect, ...],
        Field(min_length=1, max_length=2, description="Permitted dialects. 3.0.2 is used only if listed."),
    ] = (Dialect.SMB_3_1_1,)
    nameservers: Annotated[
        Nameservers, Field(description="Up to 3 DNS servers for the agent's pod, used instead of the cluster's DNS.")
    ] = ()
    check_interval: Annotated[
        str,
        DurationRange("1m", "168h"),
        Field(
            description="Longest interval between checks of an unchanged location. It may be checked after half of it, "
            "together with others of its identity."
        ),
    ] = "1h"
    agent: Annotated[
        ObjectPodSettings | None,
        Field(description="Settings of the pods that check the location. Default: those of its identity."),
    ] = None
    limits: LocationLimits | None = None
    allowed_namespaces: Annotated[
        AllowedNamespaces | None,
        Field(
            description="Other namespaces whose tasks may use the location. Their agents run in the location's "
            "namespace, so no Secret is copied. Default: none."
        ),
    ] = None
    class_name: ClassName = None

    @property
    def target(self) -> str:
        """The service principal to request a ticket for."""
        return self.service_principal or f"cifs/{self.server.rstrip('.')}"


class ServerStatus(Status):
    """Result of the negotiation with the server."""

    addresses: Annotated[tuple[str, ...], Field(max_length=16, description="Addresses that the name resolved to.")] = ()
    guid: Annotated[
        str | None,
        Field(
            max_length=36,
            description="Identifier of the server (ServerGuid), identical for all of its names. Absent if the "
            "server sends none.",
        ),
    ] = None
    dialect: Annotated[str | None, Field(description="Negotiated SMB dialect.")] = None
    cipher: Annotated[str | None, Field(description="Negotiated cipher.")] = None
    signing: Annotated[str | None, Field(description="Signing algorithm, and whether the server requires signing.")] = (
        None
    )
    encryption_required_by_share: Annotated[
        bool | None, Field(description="Whether the share requires encryption. smbferry always encrypts.")
    ] = None
    max_read_size: Annotated[int | None, Field(description="Maximum size of a READ in bytes.")] = None
    max_write_size: Annotated[int | None, Field(description="Maximum size of a WRITE in bytes.")] = None
    clock_offset: Annotated[str | None, Field(description="Clock of the file server minus clock of the agent.")] = None


class SpaceStatus(Status):
    """Space on the share that is available to the identity."""

    free_bytes: Annotated[int, Field(description="Bytes that the identity can still write.")]
    total_bytes: Annotated[int, Field(description="Size of the file system or of the identity's quota in bytes.")]


class DfsTarget(Status):
    """Target folder of a path after all DFS links are resolved."""

    server: Annotated[str, Field(max_length=253, description="DNS name of the file server.")]
    port: Annotated[int, Field(ge=1, le=65535, description="TCP port of the server.")] = 445
    share: Annotated[str, Field(max_length=80, description="Name of the share.")]
    path: Annotated[str, Field(max_length=4096, description="Folder in the share.")] = "/"

    def below(self, path: str) -> "DfsTarget":
        """Returns the target of ``path`` below this folder."""
        parts = [part for part in f"{self.path}/{path}".split("/") if part]
        return self.model_copy(update={"path": "/" + "/".join(parts)})


class SmbLocationStatus(Status):
    """Result of the last check."""

    observed_generation: Annotated[
        int, Field(description="metadata.generation of the spec that this status applies to.")
    ] = -1
    conditions: Annotated[
        tuple[Condition, ...], Field(description="Conditions, each with a reason and, if unhealthy, a remedy.")
    ] = ()
    server: ServerStatus | None = None
    dfs_target: Annotated[
        DfsTarget | None,
        Field(
            description="DFS target of the path; server and space describe this target. Absent if the path is not "
            "a DFS path."
        ),
    ] = None
    space: SpaceStatus | None = None
    maximal_access: Annotated[
        str | None, Field(description="Access that the server grants the identity on the path: read, write, delete, …")
    ] = None
    identity_generation: Annotated[
        int | None, Field(description="metadata.generation of the KerberosIdentity used by the check.")
    ] = None
    last_check_time: Annotated[Time | None, Field(description="Time at which the last check finished.")] = None
    next_check_time: Annotated[Time | None, Field(description="Time of the next check.")] = None
    last_handled_request: Annotated[
        str | None, Field(description="Last processed value of the annotation smbferry.io/requested-at.")
    ] = None
    undelivered_events: UndeliveredEvents = ()
