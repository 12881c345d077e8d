"""SIDs in the security descriptors of a run, in its status."""

from typing import Annotated, Final

from pydantic import Field

from smbferry_api.fields import Status

MAX_LISTED_SIDS: Final = 20
MAX_SHARD_SIDS: Final = 5


class AppliedSidRule(Status):
    """A rule of the SID map."""

    from_: Annotated[str, Field(alias="from", description="SID or domain that the rule replaces.")]
    to: Annotated[str, Field(description="SID or domain that replaces it.")]
    descriptors: Annotated[int, Field(description="Number of files and folders whose descriptors it changed.")]


class UnmappedSid(Status):
    """A domain, or a kind of local accounts, that the SID map does not name."""

    sid: Annotated[str, Field(description="SID of the domain, or the common part of the accounts' SIDs.")]
    descriptors: Annotated[int, Field(description="Number of files and folders whose descriptors have such SIDs.")]


class SidStatus(Status):
    """SIDs in the security descriptors that the run read from the source."""

    config_map: Annotated[str | None, Field(description="ConfigMap of the SID map.")] = None
    digest: Annotated[
        str | None,
        Field(description="SHA-256 of the SID map, in hex. All agents of the run, and its retries, use this one."),
    ] = None
    applied: Annotated[
        tuple[AppliedSidRule, ...],
        Field(max_length=MAX_LISTED_SIDS, description="Rules that were applied, the most frequent first."),
    ] = ()
    unmapped: Annotated[
        tuple[UnmappedSid, ...],
        Field(
            max_length=MAX_LISTED_SIDS,
            description="Domains and local accounts that the SID map does not name, the most frequent first. The "
            "domain of the destination's account is left out once it is known.",
        ),
    ] = ()
