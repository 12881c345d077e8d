"""Servers that will not protect the data, and bytes that are not theirs: refused before anything is used or moved."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from lab.support.domain.trees import Wanted, small
from tests.interop.engine.network import MIB, Proxy

from smbferry_engine import EngineError, FailureClass

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.support.domain.domain import Domain
    from tests.interop.engine.support import Bench

    from smbferry_engine import Endpoint

SIDES = pytest.mark.parametrize("side", [0, 1], ids=["source", "destination"])
PLAIN_REPLY = b"\0\0\0\x50\xfeSMB" + bytes(76)


def refused(bench: Bench, side: int, change: Callable[[Endpoint], Endpoint]) -> EngineError:
    """A run with one side changed ends with an error, and nothing is at the destination."""
    ends = list(bench.ends())
    ends[side] = change(ends[side])
    with pytest.raises(EngineError) as caught:
        bench.copy(ends=(ends[0], ends[1]))
    assert bench.destination.tree() == {}
    return caught.value


@pytest.mark.fault(22, 24)
@pytest.mark.parametrize(("port", "reason"), [(1445, "EncryptionNotSupported"), (1446, "DialectRefused")])
@SIDES
def test_a_server_that_can_not_encrypt_or_is_too_old_is_refused_before_data_moves(
    bench: Bench, side: int, port: int, reason: str
) -> None:
    bench.source.seed(small(3))
    share = ("src", "dst")[side]
    path = (bench.source, bench.destination)[side].path
    error = refused(bench, side, lambda _end: bench.tickets.endpoint(share, path, port=port))
    assert (error.reason, error.failure_class) == (reason, FailureClass.POLICY)


@pytest.mark.fault(23)
def test_signing_that_the_server_demands_is_no_obstacle(bench: Bench) -> None:
    bench.source.seed([*small(20), Wanted("large", size=3 * MIB)])
    bench.copy()
    bench.same()
    assert [evidence.signing.endswith("(required by the server)") for evidence in bench.watcher.evidence.values()] == [
        True,
        True,
    ]


# MS-SMB2 2.2.6: StructureSize (9), SessionFlags; 0x0001 is guest, 0x0002 is anonymous.
HEADER, STATUS, SESSION_FLAGS = 64, slice(4 + 8, 4 + 12), 4 + 64 + 2


@pytest.mark.fault(25)
@pytest.mark.verdict("Session as guest")
@pytest.mark.parametrize("flag", [1, 2], ids=["guest", "anonymous"])
@SIDES
def test_a_session_that_is_mapped_to_guest_is_refused(bench: Bench, domain: Domain, side: int, flag: int) -> None:
    """By proxy: the domain controller has an account for every ticket of its domain, and so nobody to map to guest."""
    bench.source.seed(small(3))
    seen: list[bytes] = []

    def as_guest(frame: bytes, _before: int) -> bytes:
        seen.append(frame)
        # First the reply to negotiate, then the one that sets the session up.
        if len(seen) != 2:
            return frame
        assert frame[STATUS] == bytes(4)
        return frame[:SESSION_FLAGS] + bytes([flag]) + frame[SESSION_FLAGS + 1 :]

    with Proxy(domain, as_guest).running() as proxy:
        error = refused(bench, side, proxy.through)
    assert (error.reason, error.failure_class) == ("GuestRefused", FailureClass.POLICY)
    assert len(seen) == 2


@pytest.mark.fault(26)
@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (lambda _frame: PLAIN_REPLY, "PlaintextReply"),
        (lambda frame: frame[:-1] + bytes([frame[-1] ^ 1]), "ProtocolViolation"),
        (lambda frame: frame[:48] + bytes(8) + frame[56:], "ProtocolViolation"),
        (lambda frame: frame + frame, "ProtocolViolation"),
        (lambda _frame: os.urandom(400), "ProtocolViolation"),
    ],
    ids=["in the clear", "altered", "another session", "twice", "noise"],
)
def test_a_frame_that_is_not_the_servers_ends_the_run_before_it_is_used(
    bench: Bench, domain: Domain, act: Callable[[bytes], bytes], reason: str
) -> None:
    bench.source.seed([Wanted("large", size=10 * MIB)])
    with Proxy(domain, lambda frame, before: frame if before < 5 * MIB else act(frame)).running() as proxy:
        error = refused(bench, 0, proxy.through)
    assert (error.reason, error.failure_class) == (reason, FailureClass.POLICY)


@pytest.mark.fault(26)
@pytest.mark.verdict("Plaintext on an encrypted session")
def test_a_handshake_in_the_clear_after_the_session_is_refused(bench: Bench, domain: Domain) -> None:
    seen: list[bytes] = []

    def strip(frame: bytes, _before: int) -> bytes:
        seen.append(frame)
        # negotiate, session setup, and then the tree connect's reply, which must be encrypted
        return frame if len(seen) < 3 else PLAIN_REPLY

    with Proxy(domain, strip).running() as proxy:
        error = refused(bench, 0, proxy.through)
    assert error.reason == "PlaintextReply"
