"""The kvno verdict: which key version the keytab has, which the KDC uses, and what follows. Pure.

Facts behind it (RFC 4120): the KDC tells its key version only in a reply to a right key (enc-part kvno); of a wrong
key it says no more than PREAUTH_FAILED, which skew can cause as well. So a refused newest key means a stale keytab
when the clock was measured, and an older key that works means that the keytab is ahead. An account that needs no
pre-authentication (MIT's default) gets a reply in any case: a key that does not open it is wrong, whatever the clock.

Of the salt the KDC tells its own, the keytab nothing. A password change derives the keys anew, with the account's name
of that day. So an account whose salt is not that of its name was renamed after its last password change, and a keytab
for the new name was made after both: a key in it that is refused is not old, but derived with the salt of the new
name. (Or the principal is a second name of the account, where the message's two salts tell as much.) Two cases are
not so, and count as stale: a keytab that worked before, and a computer, whose salt never is that of its name
(MS-KILE section 3.1.1.2).
"""

from collections.abc import Sequence
from typing import Final

from smbferry_agent.kerberos.enctypes import names_of
from smbferry_agent.kerberos.error_codes import KEY_IS_WRONG, ErrorCode
from smbferry_agent.kerberos.facts import AccountFacts
from smbferry_api.reasons import (
    KEYTAB_AHEAD,
    KEYTAB_STALE,
    KVNO_MATCHES,
    KVNO_NUMBER_WRONG,
    PREAUTH_FAILED,
    SALT_MISMATCH,
    Reason,
)

_OLD_KVNO_BYTE: Final = 0xFF


def judge_kvno(
    principal: str, versions: Sequence[int], account: AccountFacts, *, worked_before: bool = False
) -> tuple[Reason, str] | None:
    """Reason and message, or None where nothing was learnt of key versions.

    Args:
        versions: key versions in the keytab, newest first.
        account: with those that were tried.
        worked_before: an earlier check got a ticket by this very keytab.
    """
    tries = account.tries
    if not tries:
        return None
    last, newest = tries[-1], versions[0]
    if last.ticket is None:
        return _refused(principal, versions, account, worked_before=worked_before)
    if last.kvno != newest:
        refused = "The KDC refused" if tries[0].kvno == newest else "The KDC refused before, and was not asked again,"
        message = f"{refused} key version {newest} of {principal}, the keytab's newest; its version {last.kvno} works."
        return KEYTAB_AHEAD, message
    if last.account_kvno is not None and not _same(last.kvno, last.account_kvno):
        message = (
            f"The keytab has the key of {principal} as version {last.kvno}; the KDC counts it as {last.account_kvno}."
        )
        return KVNO_NUMBER_WRONG, message
    if last.account_kvno is None:
        return KVNO_MATCHES, f"Key version {last.kvno} of {principal} works; the KDC does not tell its number for it."
    return KVNO_MATCHES, f"Keytab and KDC agree on key version {last.kvno} of {principal}."


def default_salt(principal: str) -> str:
    """The salt of a principal's name (RFC 4120 section 4): the realm, then the name's components."""
    name, _, realm = principal.rpartition("@")
    return realm + name.replace("/", "")


def _refused(
    principal: str, versions: Sequence[int], account: AccountFacts, *, worked_before: bool
) -> tuple[Reason, str] | None:
    tries = account.tries
    if tries[-1].code not in KEY_IS_WRONG:
        return None
    tried = " and ".join(f"{t.kvno} ({names_of(t.enctypes)})" for t in tries)
    message = f"The KDC refused key version {tried} of {principal}, the newest in the keytab."
    unopened = tries[-1].code == ErrorCode.BAD_INTEGRITY
    if unopened:
        theirs = "" if tries[-1].account_kvno is None else f" of key version {tries[-1].account_kvno}"
        message = f"The KDC's reply to {principal}{theirs} is not opened by the keytab's key version {tried}."
    if left := len(versions) - len(tries):
        message += f" {left} older ones were not tried, so as not to lock the account."
    if account.clock is None and not unopened:
        return PREAUTH_FAILED, message
    usual = default_salt(principal)
    if account.salt in {None, usual} or worked_before or principal.rpartition("@")[0].endswith("$"):
        return KEYTAB_STALE, f"{message} The account's password was changed after the keytab was made."
    return SALT_MISMATCH, f"{message} The account's salt is {account.salt!r}; that of this name would be {usual!r}."


def _same(keytab_kvno: int, account_kvno: int) -> bool:
    """Keytabs of old writers hold only the version's lowest byte."""
    return keytab_kvno == account_kvno or (
        keytab_kvno <= _OLD_KVNO_BYTE < account_kvno and keytab_kvno == account_kvno & _OLD_KVNO_BYTE
    )
