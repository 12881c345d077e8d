"""What the operator and the agent agree on: arguments, mount paths, the termination message.

The operator builds pods by these names and the agent reads by them, so neither spells them twice.
"""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from smbferry_api.fields import Status


class AgentCommand(StrEnum):
    """The agent's first argument: `smbferry-agent COMMAND --namespace NS --name NAME`."""

    CHECK_IDENTITY = "check-identity"
    CHECK_LOCATION = "check-location"
    TRANSFER = "transfer"


class Stage(StrEnum):
    """What of a run an agent does, its argument `--stage`. A run by several agents takes three, one after the other."""

    WHOLE = "whole"
    SURVEY = "survey"
    SHARDS = "shards"
    FINISH = "finish"


COMPLETION_INDEX: Final = "JOB_COMPLETION_INDEX"
"""The variable by which an Indexed Job tells each of its pods which shard is theirs."""


class Side(StrEnum):
    """Which identity a mount belongs to; checks use SELF."""

    SELF = "self"
    SOURCE = "source"
    DESTINATION = "destination"
    REPORT = "report"


# A Secret and a ConfigMap are mounted whole and optional: an empty folder means that the object is missing, a folder
# without the wanted key that only the key is. The agent reads the file that the identity's spec names.
IDENTITY_ROOT: Final = "/var/run/smbferry/identity"
SCRATCH_DIR: Final = "/var/run/smbferry/scratch"
"""A memory-backed emptyDir: credential caches and the rendered krb5.conf."""

SPOOL_DIR: Final = "/var/run/smbferry/spool"
"""An emptyDir on the node's disk for the records of a report, which may be large: mounted where the task wants one."""


def keytab_dir(side: Side) -> str:
    """Where the side's Secret is mounted."""
    return f"{IDENTITY_ROOT}/{side}/keytab"


def krb5_config_dir(side: Side) -> str:
    """Where the side's ConfigMap is mounted."""
    return f"{IDENTITY_ROOT}/{side}/krb5"


TERMINATION_MESSAGE_PATH: Final = "/dev/termination-log"
AGENT_USER: Final = 65532
AGENT_CONTAINER: Final = "agent"


class TerminationMessage(Status):
    """What an agent leaves in its termination message, for when the status could not be written (at most 4 KiB)."""

    reason: str
    message: Annotated[str, Field(max_length=2048)] = ""
    remedy: Annotated[str, Field(max_length=1024)] = ""
    failure_class: str = ""
