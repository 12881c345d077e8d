"""The contract between operator and agent: arguments, mount paths, the termination message.

The operator builds pods with these names and the agent reads from them, so each name is defined once.
"""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from smbferry_api.fields import Status

NAMESPACE_OPTION: Final = "--namespace"
NAME_OPTION: Final = "--name"
STAGE_OPTION: Final = "--stage"
LOCATION_OPTION: Final = "--location"
"""Of a check, once for each location that it carries: its name, "=" and its uid."""
ONLY_LOCATIONS_OPTION: Final = "--only-locations"
"""Of a check: the identity has been checked; only the status of its locations is written."""

LOCATIONS_AT_ONCE: Final = 16
"""How many locations an agent checks side by side, each in a process of its own."""
LOCATION_SECONDS: Final = 25
"""How long the check of one location may take. Its verdict is then written within half a minute."""
MOST_LOCATIONS: Final = 100
"""How many locations one agent checks at most."""


class AgentCommand(StrEnum):
    """The agent's first argument: `smbferry-agent COMMAND --namespace NS --name NAME`."""

    CHECK_IDENTITY = "check-identity"
    TRANSFER = "transfer"


class Stage(StrEnum):
    """The part of a run that an agent does (`--stage`). A run with several agents has three stages in sequence."""

    WHOLE = "whole"
    SURVEY = "survey"
    SHARDS = "shards"
    FINISH = "finish"


COMPLETION_INDEX: Final = "JOB_COMPLETION_INDEX"
"""The environment variable in which an Indexed Job gives each pod the index of its shard."""


class Side(StrEnum):
    """The identity that a mount belongs to; checks use SELF."""

    SELF = "self"
    SOURCE = "source"
    DESTINATION = "destination"
    REPORT = "report"


RUN_SIDES: Final = (Side.SOURCE, Side.DESTINATION, Side.REPORT)
"""The sides of a run, in the order of its locations."""


def identity_variable(side: Side) -> str:
    """Returns the name of the variable with the name of the side's identity.

    Admission policies compare the mounted Secret with that identity, and the agent uses no other (ADR 49).
    """
    return f"SMBFERRY_{side.upper()}_IDENTITY"


# Secrets and ConfigMaps are mounted whole and optional: an empty folder means that the object is missing, a folder
# without the requested file means that only the key is missing.
IDENTITY_ROOT: Final = "/var/run/smbferry/identity"
SCRATCH_DIR: Final = "/var/run/smbferry/scratch"
"""A memory-backed emptyDir for credential caches and the rendered krb5.conf."""

SPOOL_DIR: Final = "/var/run/smbferry/spool"
"""An emptyDir on the node's disk for report records, which may be large; mounted only if the task requests a report."""


SID_MAP_DIR: Final = "/var/run/smbferry/sid-map"
"""The mount path of the ConfigMap with the SID map; mounted only if the task names one."""


def keytab_dir(side: Side) -> str:
    """Returns the mount path of the side's Secret."""
    return f"{IDENTITY_ROOT}/{side}/keytab"


def krb5_config_dir(side: Side) -> str:
    """Returns the mount path of the side's ConfigMap."""
    return f"{IDENTITY_ROOT}/{side}/krb5"


TERMINATION_MESSAGE_PATH: Final = "/dev/termination-log"
AGENT_USER: Final = 65532
AGENT_CONTAINER: Final = "agent"


class UserIds(StrEnum):
    """Where the ids of an agent's process come from, unless a securityContext names some."""

    FIXED = "Fixed"
    """AGENT_USER, as in the image."""
    ASSIGNED = "Assigned"
    """The cluster assigns them from the namespace's range: OpenShift's SCC restricted-v2."""


class TerminationMessage(Status):
    """The agent's termination message, used if the status could not be written (at most 4 KiB)."""

    reason: str
    message: Annotated[str, Field(max_length=2048)] = ""
    remedy: Annotated[str, Field(max_length=1024)] = ""
    failure_class: str = ""
