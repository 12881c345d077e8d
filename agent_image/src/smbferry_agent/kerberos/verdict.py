"""The kvno verdict: the key version of the keytab, that of the KDC, and what follows. Pure.

A KDC reports its key version only in the reply to a valid key (enc-part kvno, RFC 4120). To a wrong key it answers only
PREAUTH_FAILED, which clock skew can cause, too. So if the clock was measured, a refused newest key means a stale
keytab, and an older key that works means that the keytab is ahead. Without pre-authentication (MIT's default) the KDC
always replies: a key that does not decrypt the reply is wrong, whatever the clock.

The KDC reports the account's salt; a keytab contains none. A password change derives new keys with the account's name
at that time. So an account whose salt does not match its name was renamed after its last password change. A keytab for
the new name is newer than both: a refused key in it is not old, but derived with the salt of the new name. (Or the
principal is an alias of the account; the two salts in the message show that, too.) Two cases count as stale
nevertheless: a keytab that worked before, and a computer account, whose salt never matches its name (MS-KILE section
3.1.1.2).
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
    """Reason and message, None if nothing is known about key versions.

    Args:
        versions: key versions in the keytab, newest first.
        account: the account, with the key versions that were tried.
        worked_before: an earlier check got a ticket with this keytab.
    """
    tries = account.tries
    if not tries:
        return None
    last, newest = tries[-1], versions[0]
    if last.ticket is None:
        return _refused(principal, versions, account, worked_before=worked_before)
    if last.kvno != newest:
        refused = "The KDC refused" if tries[0].kvno == newest else "The KDC earlier refused"
        message = f"{refused} key version {newest} of {principal}, the newest in the keytab; version {last.kvno} works."
        return KEYTAB_AHEAD, message
    if last.account_kvno is not None and not _same(last.kvno, last.account_kvno):
        message = (
            f"The keytab has the key of {principal} as version {last.kvno}, the KDC as version {last.account_kvno}."
        )
        return KVNO_NUMBER_WRONG, message
    if last.account_kvno is None:
        return KVNO_MATCHES, f"Key version {last.kvno} of {principal} works; the KDC does not report its own version."
    return KVNO_MATCHES, f"Keytab and KDC agree on key version {last.kvno} of {principal}."


def default_salt(principal: str) -> str:
    """The default salt of a principal (RFC 4120 section 4): the realm, then the components of the name."""
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
        theirs = "" if tries[-1].account_kvno is None else f", which has key version {tries[-1].account_kvno}"
        message = f"The keytab's key version {tried} cannot decrypt the KDC's reply to {principal}{theirs}."
    if left := len(versions) - len(tries):
        message += f" {left} older versions were not tried, to avoid locking the account."
    if account.clock is None and not unopened:
        return PREAUTH_FAILED, message
    usual = default_salt(principal)
    if account.salt in {None, usual} or worked_before or principal.rpartition("@")[0].endswith("$"):
        return KEYTAB_STALE, f"{message} The account's password was changed after the keytab was made."
    return SALT_MISMATCH, f"{message} Expected the salt {usual!r} for this name, the account has {account.salt!r}."


def _same(keytab_kvno: int, account_kvno: int) -> bool:
    """Whether the versions are equal. Keytabs of old writers contain only the lowest byte."""
    return keytab_kvno == account_kvno or (
        keytab_kvno <= _OLD_KVNO_BYTE < account_kvno and keytab_kvno == account_kvno & _OLD_KVNO_BYTE
    )
