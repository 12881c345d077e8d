r"""DFS namespaces (MS-DFSC): resolves the path of an endpoint to the server, share and folder behind it.

The namespace's server is asked for referrals on its IPC$ share, with the endpoint's identity and the same encryption. A
target becomes an endpoint with its own name and ticket (``cifs/<target>``) and the same identity, ciphers and dialects;
it may be a namespace, too. A referral is used at once and never cached, so its time to live does not matter. All names
in it are validated.
"""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Protocol

from smbferry_engine.core.calls import close_request, ioctl_request, open_request
from smbferry_engine.core.session import Session
from smbferry_engine.errors import EngineError
from smbferry_engine.model import DfsTarget, Endpoint
from smbferry_engine.paths import ILLEGAL, SEPARATOR, case_key, name_problem
from smbferry_engine.session.connect import HANDSHAKE_DEADLINE, Connected, connect
from smbferry_engine.session.driver import Driver
from smbferry_engine.session.endpoint import root_of
from smbferry_engine.wire.create import Access
from smbferry_engine.wire.dfs import Referrals, decode_referrals, encode_get_referrals
from smbferry_engine.wire.ioctl import FSCTL_DFS_GET_REFERRALS, NO_FILE, decode_ioctl
from smbferry_engine.wire.names import decode_name, encode_name
from smbferry_engine.wire.status import NtStatus, status_name
from smbferry_words.failure_class import FailureClass
from smbferry_words.reasons import DEADLINE_EXCEEDED, DFS_TARGET_UNUSABLE, SESSION_ENDED, SHARE_NOT_FOUND

# The most servers that are asked for one path; more means that the links lead in circles.
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
_LIST_ACCESS = int(Access.READ_DATA | Access.READ_ATTRIBUTES | Access.SYNCHRONIZE)
_HOST = re.compile(r"[A-Za-z0-9_](?:[-A-Za-z0-9_.]*[A-Za-z0-9_])?")

# The server does not know DFS, or not this path: the path is its own.
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
    """Finds the addresses of a server that a referral names."""

    def __call__(self, server: str, /) -> tuple[str, ...]:
        """Return its addresses; raises :class:`EngineError` if it has none that may be used."""
        ...


Ask = Callable[[Endpoint, str], Referrals | None]


def resolve(endpoint: Endpoint, locate: Locate, *, deadline_seconds: float = HANDSHAKE_DEADLINE) -> Endpoint:
    """Return the endpoint behind the path of ``endpoint``; ``endpoint`` itself if that is no DFS path.

    Of several targets, the first that answers is used, in the server's order. Raises :class:`EngineError`
    DfsTargetUnusable if a referral names what can't be used or leads in circles, else the error of reaching a server.
    """
    return follow(endpoint, locate, _Servers(deadline_seconds).referrals)


def follow(endpoint: Endpoint, locate: Locate, ask: Ask) -> Endpoint:
    """:func:`resolve` with any ``ask``, which returns a server's referrals for a path, None if the path is its own."""
    return _Follower(locate, ask).follow(endpoint)


def path_of(endpoint: Endpoint) -> str:
    r"""``\server\share\path``, as DFS names it."""
    parts = (endpoint.server.rstrip("."), endpoint.share, root_of(endpoint.path))
    return SEPARATOR + SEPARATOR.join(part for part in parts if part)


def dfs_target(named: Endpoint, resolved: Endpoint) -> DfsTarget | None:
    """Return where the path of ``named`` led, if :func:`resolve` found that it leads elsewhere."""
    if resolved is named:
        return None
    return DfsTarget(resolved.server, resolved.port, resolved.share, resolved.path)


def target_of(endpoint: Endpoint, referral: str, rest: str) -> Endpoint:
    r"""Return the endpoint that ``\server\share\path`` of a referral stands for, with ``rest`` of the path below it."""
    names = [name for name in referral.split(SEPARATOR) if name]
    if len(names) < _LEAST_NAMES or ILLEGAL.search(names[1]) or len(names[1]) > _MAX_SHARE:
        raise _unusable(f"expected a server and a share, got {referral!r}")
    server, share, *parts = [*names, *(name for name in rest.split(SEPARATOR) if name)]
    host = _host(server, endpoint.principal, referral)
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


def _host(name: str, principal: str, referral: str) -> str:
    """Return the target's DNS name; one without a domain gets the identity's, which is named like its realm."""
    host = name.rstrip(".")
    if not _HOST.fullmatch(host) or ".." in host or len(host) > _MAX_HOST:
        raise _unusable(f"expected a server's name, got {referral!r}")
    if not host.strip("0123456789."):
        raise _unusable(f"expected a server's name, got the address {host}: Kerberos tickets are for names")
    return host if "." in host else f"{host}.{principal.rpartition('@')[2].lower()}"


def _unusable(message: str) -> EngineError:
    return EngineError(DFS_TARGET_UNUSABLE, message)


def rest_of(path: str, consumed: int) -> str:
    """Return what is left of ``path`` behind its first ``consumed`` UTF-16 units, without a separator before it."""
    raw = encode_name(path)
    if consumed * _UNIT > len(raw):
        raise _unusable(f"expected a referral for a part of {path!r}, got one for {consumed} characters")
    rest = decode_name(raw[consumed * _UNIT :])
    before = decode_name(raw[: consumed * _UNIT])
    if rest and not rest.startswith(SEPARATOR) and not before.endswith(SEPARATOR):
        raise _unusable(f"expected a referral for whole names of {path!r}, got one for {before!r}")
    return rest.lstrip(SEPARATOR)


class _Follower:
    """Follows the referrals of one path; counts the servers that may still be asked."""

    def __init__(self, locate: Locate, ask: Ask) -> None:
        self._locate = locate
        self._ask = ask
        self._left = MAX_SERVERS

    def follow(self, endpoint: Endpoint) -> Endpoint:
        """Follow referrals to the server that the path belongs to."""
        path = path_of(endpoint)
        if not self._left:
            raise _unusable(f"expected an end within {MAX_SERVERS} servers, the referrals go on to {path}")
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
        raise failure or _unusable(f"expected a target for {path}, got none")

    def _located(self, target: Endpoint) -> Endpoint:
        return target if target.addresses else replace(target, addresses=self._locate(target.server))


class _Servers:
    """Asks the servers, until a deadline."""

    def __init__(self, deadline_seconds: float) -> None:
        self._until = time.monotonic() + deadline_seconds

    def referrals(self, endpoint: Endpoint, path: str) -> Referrals | None:
        """Return what the server of ``endpoint`` says that ``path`` stands for; None if it is its own."""
        try:
            with self._connected(endpoint) as side:
                if not side.dfs and not self._not_covered(side, endpoint):
                    return None
        except EngineError as error:
            # A domain's name leads to domain controllers, which know the namespaces but have no such share.
            if error.reason != SHARE_NOT_FOUND.name:
                raise
            found = self._ask(endpoint, path)
            if found is None or not found.targets:
                raise
            return found
        return self._ask(endpoint, path)

    def _ask(self, endpoint: Endpoint, path: str) -> Referrals | None:
        with self._connected(replace(endpoint, share=_INTERPROCESS, path="/")) as side:
            return Driver([side.channel]).run(get_referrals(side.channel.session, path), self._tick)

    @contextmanager
    def _connected(self, endpoint: Endpoint) -> Iterator[Connected]:
        side = connect(endpoint, deadline_seconds=max(_LEAST_ATTEMPT, min(_ATTEMPT, self._until - time.monotonic())))
        try:
            yield side
        finally:
            side.channel.close()

    def _not_covered(self, side: Connected, endpoint: Endpoint) -> bool:
        return Driver([side.channel]).run(_not_covered(side.channel.session, root_of(endpoint.path)), self._tick)

    def _tick(self, _now: float) -> None:
        if time.monotonic() > self._until:
            raise EngineError(DEADLINE_EXCEEDED, "expected an answer to the DFS referral request in time, got none")


def _place(endpoint: Endpoint) -> tuple[str, int, str, str]:
    return *endpoint.share_key, case_key(root_of(endpoint.path))


async def _not_covered(session: Session, root: str) -> bool:
    """Return whether the server says of the root that it lies behind a link (3.3.5.9)."""
    opened, _ = await session.call(open_request(root, access=_LIST_ACCESS), close_request())
    if not session.usable:
        raise EngineError(
            SESSION_ENDED, f"opening the folder: the server has ended the session ({status_name(opened.status)})"
        )
    return opened.status == NtStatus.PATH_NOT_COVERED


async def get_referrals(session: Session, path: str) -> Referrals | None:
    """Request referrals for ``path`` on an IPC$ tree (MS-DFSC 3.1.5.4.2); None if the server has none."""
    (reply,) = await session.call(
        ioctl_request(NO_FILE, FSCTL_DFS_GET_REFERRALS, encode_get_referrals(path), session.list_limit(_LIMIT))
    )
    if reply.status in _NO_REFERRAL:
        return None
    if reply.status != NtStatus.SUCCESS:
        raise _unusable(f"expected a referral for {path}, got {status_name(reply.status)}")
    return decode_referrals(decode_ioctl(reply.message, FSCTL_DFS_GET_REFERRALS))
