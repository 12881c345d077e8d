"""A look at one side before anything depends on it: session, share, path, rights, space and the server's clock."""

from smbferry_engine.connect import Connected, connect
from smbferry_engine.core.calls import close_request, open_request, query_size_request
from smbferry_engine.dfs import Locate, dfs_target, resolve
from smbferry_engine.errors import DEADLINE_EXCEEDED, EngineError
from smbferry_engine.model import DfsTarget, Endpoint, ShareFacts
from smbferry_engine.roots import check_root, share_of
from smbferry_engine.share import LIST_ACCESS, Share, check
from smbferry_engine.times import to_datetime
from smbferry_engine.transport import Driver
from smbferry_engine.wire.create import Access, CreateReply
from smbferry_engine.wire.info import FileSystemSize, decode_size


def probe_share(endpoint: Endpoint, *, deadline_seconds: float, locate: Locate | None = None) -> ShareFacts:
    """Connect, open the path and look around; :class:`EngineError` says what stands in the way.

    With ``locate`` a DFS path is followed to its target, which is looked at in its place.
    """
    named = endpoint
    if locate is not None:
        endpoint = resolve(endpoint, locate, deadline_seconds=deadline_seconds)
    side = connect(endpoint, deadline_seconds=deadline_seconds)
    try:
        driver = Driver([side.channel])
        until = driver.scheduler.now + deadline_seconds

        def tick(now: float) -> None:
            if now > until:
                raise EngineError(DEADLINE_EXCEEDED, f"answers within {deadline_seconds:.0f} s expected")

        opened, size = driver.run(_look(share_of(side, endpoint)), tick)
    finally:
        side.channel.close()
    return _facts(side, opened, size, dfs_target(named, endpoint))


async def _look(share: Share) -> tuple[CreateReply, FileSystemSize]:
    opened = await check_root(share)
    replies = await share.lane.call(open_request(share.root, access=LIST_ACCESS), query_size_request(), close_request())
    check(replies[0], "opening the folder")
    return opened, decode_size(check(replies[1], "asking for free space").message)


def _facts(side: Connected, opened: CreateReply, size: FileSystemSize, target: DfsTarget | None) -> ShareFacts:
    mask = opened.maximal_access or 0
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
