"""The kvno verdict: which key version the keytab has, which the KDC uses, and what follows. Pure.

Facts behind it (RFC 4120): the KDC tells its key version only in a reply to a right key (enc-part kvno); of a wrong
key it says no more than PREAUTH_FAILED, which skew can cause as well. So a refused newest key means a stale keytab
when the clock was measured, and an older key that works means that the keytab is ahead.
"""

from collections.abc import Sequence
from typing import Final

from smbferry_agent.kerberos.enctypes import names_of
from smbferry_agent.kerberos.facts import KeyTry
from smbferry_agent.kerberos.messages import ErrorCode
from smbferry_api.reasons import KEYTAB_AHEAD, KEYTAB_STALE, KVNO_MATCHES, KVNO_NUMBER_WRONG, PREAUTH_FAILED, Reason

_OLD_KVNO_BYTE: Final = 0xFF


def judge_kvno(
    principal: str, versions: Sequence[int], tries: Sequence[KeyTry], *, clock_known: bool
) -> tuple[Reason, str] | None:
    """Reason and message, or None where nothing was learnt of key versions.

    Args:
        versions: key versions in the keytab, newest first.
        tries: those that were tried, in the same order.
    """
    if not tries:
        return None
    last = tries[-1]
    if last.ticket is None:
        return _refused(principal, versions, tries, clock_known=clock_known)
    newest = tries[0].kvno
    if last.kvno != newest:
        message = (
            f"The KDC refused key version {newest} of {principal}, the keytab's newest; its version {last.kvno} works."
        )
        return KEYTAB_AHEAD, message
    if last.account_kvno is not None and not _same(last.kvno, last.account_kvno):
        message = (
            f"The keytab has the key of {principal} as version {last.kvno}; the KDC counts it as {last.account_kvno}."
        )
        return KVNO_NUMBER_WRONG, message
    return KVNO_MATCHES, f"Keytab and KDC agree on key version {last.kvno} of {principal}."


def _refused(
    principal: str, versions: Sequence[int], tries: Sequence[KeyTry], *, clock_known: bool
) -> tuple[Reason, str] | None:
    if tries[-1].code != ErrorCode.PREAUTH_FAILED:
        return None
    tried = " and ".join(f"{t.kvno} ({names_of(t.enctypes)})" for t in tries)
    message = f"The KDC refused key version {tried} of {principal}, the newest in the keytab."
    if left := len(versions) - len(tries):
        message += f" {left} older ones were not tried, so as not to lock the account."
    return (KEYTAB_STALE if clock_known else PREAUTH_FAILED), message


def _same(keytab_kvno: int, account_kvno: int) -> bool:
    """Keytabs of old writers hold only the version's lowest byte."""
    return keytab_kvno == account_kvno or (
        keytab_kvno <= _OLD_KVNO_BYTE < account_kvno and keytab_kvno == account_kvno & _OLD_KVNO_BYTE
    )
