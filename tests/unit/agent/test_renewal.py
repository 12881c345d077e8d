"""Tickets are renewed by the key while it is good, and by no key that was refused: wrong keys lock accounts."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, cast

import pytest

from smbferry_agent.kerberos import renewal
from smbferry_agent.kerberos.error_codes import ErrorCode
from smbferry_agent.kerberos.facts import Ticket
from smbferry_agent.kerberos.libkrb5 import KerberosError
from smbferry_agent.kerberos.renewal import Renewal
from smbferry_agent.kerberos.session import KerberosSession

if TYPE_CHECKING:
    from collections.abc import Iterator

PREAUTH_FAILED = -1765328384 + ErrorCode.PREAUTH_FAILED
CANNOT_REACH = -1765328228


def due() -> Ticket:
    """A ticket whose renewal is due now."""
    now = datetime.now(UTC)
    return Ticket(
        "krbtgt/CORP.EXAMPLE.COM",
        enctype=18,
        kvno=1,
        start_time=now - timedelta(hours=1),
        end_time=now,
        renew_until=None,
    )


class Session:
    """Counts the uses of the key, and ends each as it is told."""

    principal = "svc@CORP.EXAMPLE.COM"

    def __init__(self, *ends: int | None) -> None:
        self.ends = list(ends)
        self.uses = 0
        self.used_up = threading.Event()

    def renew(self, _target: str) -> Ticket:
        """The next end: an error's number, or None for a ticket; after the last, long-lived ones."""
        self.uses += 1
        end = self.ends.pop(0)
        if not self.ends:
            self.used_up.set()
        if end is not None:
            raise KerberosError(end, "the KDC said no")
        return due()


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renewal, "_LEAST_WAIT", 0.001)
    monkeypatch.setattr(renewal, "_RETRY", timedelta(0))


def test_a_kdc_that_is_away_is_asked_again() -> None:
    session = Session(CANNOT_REACH, CANNOT_REACH, None, PREAUTH_FAILED)
    with Renewal(cast(KerberosSession, session), due(), "cifs/files"):
        assert session.used_up.wait(10)
    assert session.uses == 4


def test_a_refused_key_is_never_tried_again() -> None:
    session = Session(PREAUTH_FAILED, None)
    kept = Renewal(cast(KerberosSession, session), due(), "cifs/files")
    with kept:
        kept._thread.join(10)
        assert not kept._thread.is_alive()
    assert session.uses == 1


def test_a_key_that_others_found_outdated_is_not_tried_until_the_objection_is_gone() -> None:
    session = Session(None, PREAUTH_FAILED)
    asked: list[int] = []

    def objection() -> str | None:
        asked.append(session.uses)
        return "the password was changed" if len(asked) < 5 else None

    with Renewal(cast(KerberosSession, session), due(), "cifs/files", objection):
        assert session.used_up.wait(10)
    assert asked[:5] == [0] * 5


def test_each_use_of_the_key_is_in_turn_and_a_refusal_is_told() -> None:
    session, told = Session(None, PREAUTH_FAILED), []

    @contextmanager
    def turn() -> Iterator[None]:
        told.append("begins")
        try:
            yield
        except KerberosError as error:
            told.append(f"refused {error.code}")
            raise

    kept = Renewal(cast(KerberosSession, session), due(), "cifs/files", turn=turn)
    with kept:
        kept._thread.join(10)
    assert told == ["begins", "begins", "refused 24"]
