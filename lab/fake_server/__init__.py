"""An SMB server in memory: real frames and encryption, a tree of nodes, and faults that no real one shows on demand.

It speaks only what the engine sends. Tests change its behavior by `faults`: functions that look at one request and may
return a status to answer with instead of doing it; by a `personality`, which is what one product does otherwise; and by
what is around it: `quotas`, `room`, and files that somebody else holds open.
"""

from lab.fake_server.link import (
    CHUNK,
    KEY_DOWN,
    KEY_UP,
    SUITE,
    Link,
    drive,
    feed,
    feed_all,
    make_session,
)
from lab.fake_server.nodes import (
    ACCOUNT,
    DEDUP,
    FULL_ENTRIES,
    PLAIN_ENTRIES,
    SESSION,
    TREE,
    Fault,
    Handle,
    Node,
    Request,
    descriptor,
    file,
    folder,
)
from lab.fake_server.personality import Personality
from lab.fake_server.server import FakeServer

__all__ = [
    "ACCOUNT",
    "CHUNK",
    "DEDUP",
    "FULL_ENTRIES",
    "KEY_DOWN",
    "KEY_UP",
    "PLAIN_ENTRIES",
    "SESSION",
    "SUITE",
    "TREE",
    "FakeServer",
    "Fault",
    "Handle",
    "Link",
    "Node",
    "Personality",
    "Request",
    "descriptor",
    "drive",
    "feed",
    "feed_all",
    "file",
    "folder",
    "make_session",
]
