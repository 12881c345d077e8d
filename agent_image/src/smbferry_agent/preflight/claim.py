"""Whether the destination is still the folder that the run was let in for. Pure."""

from smbferry_agent.errors import AgentError
from smbferry_api.location import DfsTarget
from smbferry_api.reasons import DFS_TARGET_CHANGED
from smbferry_engine import Endpoint


def check_claim(place: DfsTarget, found: Endpoint) -> None:
    """No other run may be writing where this one is about to: the folder found must be the one claimed, ``place``.

    Raises:
        AgentError: DfsTargetChanged, when DFS leads elsewhere.
    """
    if _key(place) != _key(found):
        claimed, reached = (f"//{side.server}:{side.port}/{side.share}{side.path}" for side in (place, found))
        raise AgentError(DFS_TARGET_CHANGED, f"Destination: expected {claimed}, the path leads to {reached} now.")


def _key(side: DfsTarget | Endpoint) -> tuple[str, int, str, list[str]]:
    parts = [part.casefold() for part in side.path.split("/") if part]
    return side.server.rstrip(".").casefold(), side.port, side.share.casefold(), parts
