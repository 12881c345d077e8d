"""The SID map of a run: read from the ConfigMap that the task names, and the same for all agents of the run."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from smbferry_agent.errors import AgentError
from smbferry_agent.mounts import read_key
from smbferry_api.agent_contract import SID_MAP_DIR
from smbferry_api.reasons import (
    CONFIG_MAP_KEY_NOT_FOUND,
    CONFIG_MAP_NOT_FOUND,
    SID_MAP_CHANGED,
    SID_MAP_INVALID,
)
from smbferry_api.task_options import SidMap as SidMapOption
from smbferry_engine import SidMap

MAX_SID_MAP: Final = 1 << 20  # of a ConfigMap


def _only_here(_name: str, digest: str) -> str:
    """Agrees with every digest: the run has one agent and no retries."""
    return digest


@dataclass(frozen=True, slots=True)
class SidMapSource:
    """Where the ConfigMap is mounted.

    Attributes:
        where: the place where it was looked for, for messages.
        agree: records the ConfigMap's name and the map's digest for the run, unless the run has a digest already;
            returns the run's.
    """

    folder: Path = Path(SID_MAP_DIR)
    where: str = "in this namespace"
    agree: Callable[[str, str], str] = _only_here

    def read(self, option: SidMapOption | None) -> SidMap:
        """Reads the map; an empty one without the option.

        Raises:
            AgentError: ConfigMapNotFound, ConfigMapKeyNotFound, SidMapInvalid; SidMapChanged, an earlier agent of this
                run has used another one.
        """
        if option is None:
            return SidMap()
        ref = option.config_map_ref
        what = f"ConfigMap {ref.name!r}"
        reasons = (CONFIG_MAP_NOT_FOUND, CONFIG_MAP_KEY_NOT_FOUND, SID_MAP_INVALID)
        data = read_key(self.folder, what, ref.key, reasons, limit=MAX_SID_MAP, where=self.where)
        what = f"Key {ref.key!r} of {what}"
        if len(data) > MAX_SID_MAP:
            raise AgentError(SID_MAP_INVALID, f"{what} is larger than 1 MiB.")
        try:
            found = SidMap.parse(data.decode())
        except UnicodeDecodeError as error:
            raise AgentError(SID_MAP_INVALID, f"{what} is not UTF-8 text (byte {error.start}).") from error
        except ValueError as error:
            raise AgentError(SID_MAP_INVALID, f"{what}, {error}.") from error
        digest = hashlib.sha256(data).hexdigest()
        agreed = self.agree(ref.name, digest)
        if agreed != digest:
            raise AgentError(
                SID_MAP_CHANGED,
                f"{what}: expected the map with SHA-256 {agreed}, with which this run has begun, got {digest}.",
            )
        return found
