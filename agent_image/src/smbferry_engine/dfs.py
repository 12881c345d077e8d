r"""DFS namespaces (MS-DFSC): from the path that an endpoint names to the server, share and folder that it stands for.

The namespace's server is asked for referrals on its IPC$ share, by the endpoint's identity and under the same
encryption. A target is an endpoint of its own then: its own name and ticket (``cifs/<target>``), the same identity,
ciphers and dialects; and it may be a namespace itself. A referral is used at once and never kept, so its time to live
bounds nothing. What it names is hostile until checked, like all that a server sends.
"""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Protocol

from smbferry_engine.connect import HANDSHAKE_DEADLINE, Connected, connect
from smbferry_engine.core.calls import ioctl_request
from smbferry_engine.core.lane import Lane
from smbferry_engine.errors import (
    DEADLINE_EXCEEDED,
    DFS_TARGET_UNUSABLE,
    SHARE_NOT_FOUND,
    EngineError,
    FailureClass,
    FileError,
)
from smbferry_engine.model import DfsTarget, Endpoint
from smbferry_engine.paths import ILLEGAL, SEPARATOR, case_key, name_problem
from smbferry_engine.roots import root_of, share_of
from smbferry_engine.share import Share
from smbferry_engine.transport import Driver
from smbferry_engine.wire.dfs import Referrals, decode_referrals, encode_get_referrals
from smbferry_engine.wire.ioctl import FSCTL_DFS_GET_REFERRALS, NO_FILE, decode_ioctl
from smbferry_engine.wire.names import decode_name, encode_name
from smbferry_engine.wire.status import NtStatus, status_name

# Links that lead to links, and targets that do not answer: what goes on for longer than this leads in circles.
MAX_SERVERS = 8
SMB_PORT = 445
_ATTEMPT = 10.0
_LEAST_ATTEMPT = 1.0
_LIMIT = 64 * 1024
_INTERPROCESS = "IPC$"
_UNIT = 2
_LEAST_NAMES = 2
_MAX_HOST = 253
_MAX_SHARE = 80
_HOST = re.compile(r"[A-Za-z0-9_](?:[-A-Za-z0-9_.]*[A-Za-z0-9_])?")

# The server knows nothing of DFS, or nothing of this path: it is what it says.
_NO_REFERRAL = frozenset(
    {
        NtStatus.NOT_FOUND,
        NtStatus.OBJECT_NAME_NOT_FOUND,
        NtStatus.OBJECT_PATH_NOT_FOUND,
        NtStatus.NO_SUCH_FILE,
        NtStatus.BAD_NETWORK_NAME,
        NtStatus.FS_DRIVER_REQUIRED,
        NtStatus.INVALID_DEVICE_REQUEST,
        NtStatus.NOT_SUPPORTED,
    }
)
_TRY_THE_NEXT = frozenset({FailureClass.NETWORK, FailureClass.DNS})


class Locate(Protocol):
    """Where a server that a referral names is reached."""

    def __call__(self, server: str, /) -> tuple[str, ...]:
        """Its addresses; :class:`EngineError` if it has none that may be used."""
        ...


Ask = Callable[[Endpoint, str], Referrals | None]


def resolve(endpoint: Endpoint, locate: Locate, *, deadline_seconds: float = HANDSHAKE_DEADLINE) -> Endpoint:
    """The endpoint behind the path of ``endpoint``: itself, where that is no DFS path.

    Of several targets the first that answers, in the server's order. :class:`EngineError` DfsTargetUnusable when a
    referral names what can't be used, or leads in circles; else what stands in the way of reaching a server.
    """
    return follow(endpoint, locate, _Servers(deadline_seconds).referrals)


def follow(endpoint: Endpoint, locate: Locate, ask: Ask) -> Endpoint:
    """:func:`resolve` over any ``ask``, which gives a server's referrals for a path, None where it is its own."""
    return _Follower(locate, ask).follow(endpoint)


def path_of(endpoint: Endpoint) -> str:
    r"""``\server\share\path``, as DFS names it."""
    parts = (endpoint.server.rstrip("."), endpoint.share, root_of(endpoint))
    return SEPARATOR + SEPARATOR.join(part for part in parts if part)


def dfs_target(named: Endpoint, resolved: Endpoint) -> DfsTarget | None:
    """Where the path of ``named`` led, if :func:`resolve` found that it leads elsewhere."""
    if resolved is named:
        return None
    return DfsTarget(resolved.server, resolved.port, resolved.share, resolved.path)


def target_of(endpoint: Endpoint, referral: str, rest: str) -> Endpoint:
    r"""The endpoint that ``\server\share\path`` of a referral stands for, with ``rest`` of the path below it."""
    names = [name for name in referral.split(SEPARATOR) if name]
    if len(names) < _LEAST_NAMES or ILLEGAL.search(names[1]) or len(names[1]) > _MAX_SHARE:
        raise _unusable(f"a server and a share expected, found {referral!r}")
    server, share, *parts = [*names, *(name for name in rest.split(SEPARATOR) if name)]
    host = _host(server, endpoint, referral)
    for part in parts:
        problem = name_problem(part)
        if problem:
            raise _unusable(f"the referral to {referral!r}: {problem}")
    path = "/" + "/".join(parts)
    if host.lower() == endpoint.server_key[0]:
        return replace(endpoint, share=share, path=path)
    return replace(
        endpoint, server=host, port=SMB_PORT, share=share, path=path, addresses=(), service_principal=f"cifs/{host}"
    )


def _host(name: str, endpoint: Endpoint, referral: str) -> str:
    """The target's DNS name. One without a domain is in the identity's own, whose realm has the domain's name."""
    host = name.rstrip(".")
    if not _HOST.fullmatch(host) or ".." in host or len(host) > _MAX_HOST:
        raise _unusable(f"a server's name expected, found {referral!r}")
    if not host.strip("0123456789."):
        raise _unusable(f"a server's name expected, found the address {host}: Kerberos tickets are for names")
    return host if "." in host else f"{host}.{endpoint.principal.rpartition('@')[2].lower()}"


def _unusable(message: str) -> EngineError:
    return EngineError(DFS_TARGET_UNUSABLE, message)


def rest_of(path: str, consumed: int) -> str:
    """What is left of ``path`` behind its first ``consumed`` UTF-16 units, without a separator before it."""
    raw = encode_name(path)
    if consumed * _UNIT > len(raw):
        raise _unusable(f"a referral for a part of {path!r} expected, found one for {consumed} characters")
    rest = decode_name(raw[consumed * _UNIT :])
    before = decode_name(raw[: consumed * _UNIT])
    if rest and not rest.startswith(SEPARATOR) and not before.endswith(SEPARATOR):
        raise _unusable(f"a referral for whole names of {path!r} expected, found one for {before!r}")
    return rest.lstrip(SEPARATOR)


class _Follower:
    """One path on its way through its referrals, and how many servers may still be asked."""

    def __init__(self, locate: Locate, ask: Ask) -> None:
        self._locate = locate
        self._ask = ask
        self._left = MAX_SERVERS

    def follow(self, endpoint: Endpoint) -> Endpoint:
        """Follow referrals until a server says that the path is its own."""
        path = path_of(endpoint)
        if not self._left:
            raise _unusable(f"an end within {MAX_SERVERS} servers expected, the referrals go on to {path}")
        self._left -= 1
        referrals = self._ask(endpoint, path)
        if referrals is None or not referrals.targets:
            return endpoint
        rest = rest_of(path, referrals.consumed)
        failure: EngineError | None = None
        for referral in referrals.targets:
            target = target_of(endpoint, referral.target, rest)
            if _place(target) == _place(endpoint):
                return endpoint
            try:
                return self.follow(self._located(target))
            except EngineError as error:
                if error.failure_class not in _TRY_THE_NEXT:
                    raise
                failure = failure or error
        raise failure or _unusable(f"a target for {path} expected, found none")

    def _located(self, target: Endpoint) -> Endpoint:
        return target if target.addresses else replace(target, addresses=self._locate(target.server))


class _Servers:
    """The servers themselves, until a deadline."""

    def __init__(self, deadline_seconds: float) -> None:
        self._until = time.monotonic() + deadline_seconds

    def referrals(self, endpoint: Endpoint, path: str) -> Referrals | None:
        """What the server of ``endpoint`` says that ``path`` stands for; None if it is its own."""
        try:
            with self._connected(endpoint) as side:
                if not side.dfs and not self._not_covered(side, endpoint):
                    return None
        except EngineError as error:
            # A domain's own name is that of controllers, which know their namespaces and share none of them.
            if error.reason != SHARE_NOT_FOUND.name:
                raise
            found = self._ask(endpoint, path)
            if found is None or not found.targets:
                raise
            return found
        return self._ask(endpoint, path)

    def _ask(self, endpoint: Endpoint, path: str) -> Referrals | None:
        with self._connected(replace(endpoint, share=_INTERPROCESS, path="/")) as side:
            return Driver([side.channel]).run(get_referrals(side.channel.lane, path), self._tick)

    @contextmanager
    def _connected(self, endpoint: Endpoint) -> Iterator[Connected]:
        side = connect(endpoint, deadline_seconds=max(_LEAST_ATTEMPT, min(_ATTEMPT, self._until - time.monotonic())))
        try:
            yield side
        finally:
            side.channel.close()

    def _not_covered(self, side: Connected, endpoint: Endpoint) -> bool:
        return Driver([side.channel]).run(_not_covered(share_of(side, endpoint)), self._tick)

    def _tick(self, _now: float) -> None:
        if time.monotonic() > self._until:
            raise EngineError(DEADLINE_EXCEEDED, "an answer to a DFS referral in time expected, none came")


def _place(endpoint: Endpoint) -> tuple[str, int, str, str]:
    return *endpoint.share_key, case_key(root_of(endpoint))


async def _not_covered(share: Share) -> bool:
    """Whether the server says of the root that it lies behind a link (3.3.5.9)."""
    try:
        await share.open_root()
    except FileError as error:
        return error.status == NtStatus.PATH_NOT_COVERED
    return False


async def get_referrals(lane: Lane, path: str) -> Referrals | None:
    """Ask on an IPC$ tree what ``path`` stands for (MS-DFSC 3.1.5.4.2); None if the server knows of no referral."""
    (reply,) = await lane.call(
        ioctl_request(NO_FILE, FSCTL_DFS_GET_REFERRALS, encode_get_referrals(path), lane.list_limit(_LIMIT))
    )
    if reply.status in _NO_REFERRAL:
        return None
    if reply.status != NtStatus.SUCCESS:
        raise _unusable(f"a referral for {path} expected, the server refused ({status_name(reply.status)})")
    return decode_referrals(decode_ioctl(reply.message, FSCTL_DFS_GET_REFERRALS))
