"""Probes one side: session, share, path, rights, space and the server's clock."""

from smbferry_engine.core.calls import close_request, open_request, query_size_request
from smbferry_engine.model import DfsTarget, Endpoint, ShareFacts
from smbferry_engine.operations.sides import share_of
from smbferry_engine.session.connect import Connected, connect
from smbferry_engine.session.dfs import Locate, dfs_target, resolve
from smbferry_engine.session.driver import Driver
from smbferry_engine.share.access import LIST_ACCESS
from smbferry_engine.share.replies import check
from smbferry_engine.share.roots import check_root
from smbferry_engine.share.share import Share
from smbferry_engine.times import to_datetime
from smbferry_engine.wire.create import Access, CreateReply
from smbferry_engine.wire.info import FileSystemSize, decode_size


def probe_share(endpoint: Endpoint, *, deadline_seconds: float, locate: Locate | None = None) -> ShareFacts:
    """Connect, open the path and return what was found. Raises :class:`EngineError` if that fails.

    With ``locate``, a DFS path is followed, and its target is probed.
    """
    named = endpoint
    if locate is not None:
        endpoint = resolve(endpoint, locate, deadline_seconds=deadline_seconds)
    side = connect(endpoint, deadline_seconds=deadline_seconds)
    try:
        opened, size = Driver([side.channel]).run_within(_look(share_of(side, endpoint)), deadline_seconds)
    finally:
        side.channel.close()
    return _facts(side, opened.maximal_access or 0, size, dfs_target(named, endpoint))


async def _look(share: Share) -> tuple[CreateReply, FileSystemSize]:
    opened = await check_root(share)
    replies = await share.session.call(
        open_request(share.root, access=LIST_ACCESS), query_size_request(), close_request()
    )
    check(replies[0], "opening the folder")
    return opened, decode_size(check(replies[1], "querying free space").message)


def _facts(side: Connected, mask: int, size: FileSystemSize, target: DfsTarget | None) -> ShareFacts:
    return ShareFacts(
        evidence=side.evidence,
        free_bytes=size.free,
        total_bytes=size.total,
        maximal_access=mask,
        maximal_access_names=tuple(access.name for access in Access if access & mask and access.name is not None),
        server_system_time=to_datetime(side.server_system_time),
        dfs_target=target,
        server_guid=side.server_guid,
    )
