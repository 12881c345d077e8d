"""Principals, keytabs and accounts."""

from typing import Final

from smbferry_words.failure_class import FailureClass
from smbferry_words.reason import define

_CONFIGURATION = FailureClass.CONFIGURATION
_IDENTITY = FailureClass.IDENTITY
_POLICY = FailureClass.POLICY

KEYTAB_UNREADABLE = define(
    "KeytabUnreadable",
    "The Secret's value is not a keytab or is truncated.",
    "Export the keytab again and store the file unchanged; base64-encode it only once.",
    _CONFIGURATION,
)
KEYTAB_TOO_LARGE = define(
    "KeytabTooLarge",
    "The keytab is larger than 64 KiB.",
    "Export a keytab that contains only this principal's keys.",
    _CONFIGURATION,
)
PRINCIPAL_NOT_IN_KEYTAB = define(
    "PrincipalNotInKeytab",
    "The keytab has no entry for spec.principal.",
    "Correct spec.principal, or export a keytab for it. The message lists the principals in the keytab.",
    _IDENTITY,
)
PRINCIPAL_CASE_MISMATCH = define(
    "PrincipalCaseMismatch",
    "The keytab contains this principal in different case. Kerberos names are case-sensitive.",
    "Write spec.principal exactly as in the keytab and the account.",
    _IDENTITY,
)
PRINCIPAL_UNKNOWN = define(
    "PrincipalUnknown",
    "The KDC does not know the principal.",
    "Check the account's user principal name and its case in the domain.",
    _IDENTITY,
)
KEYTAB_STALE = define(
    "KeytabStale",
    "The KDC refused the keytab's key: the account's password was changed after the keytab was made.",
    "Export a new keytab for the account and update the Secret. smbferry repeats the check automatically.",
    _IDENTITY,
)
KEYTAB_AHEAD = define(
    "KeytabAhead",
    "The keytab's newest key is ahead of the KDC's; an older key in the keytab still works.",
    "Wait until the domain controllers have replicated, or export the keytab from the one that answered.",
    _IDENTITY,
)
KVNO_NUMBER_WRONG = define(
    "KvnoNumberWrong",
    "The key is correct, but its version number in the keytab is not the KDC's (ktpass /kvno can cause this).",
    "Export the keytab with the account's actual key version number.",
    _IDENTITY,
)
SALT_MISMATCH = define(
    "SaltMismatch",
    "The key was derived with a different salt than the KDC's (the account was renamed, or the keytab was made by "
    "hand).",
    "Export the keytab from the domain, which has the correct keys, or reset the password to derive keys with the "
    "new salt.",
    _IDENTITY,
)
KEYTAB_AGING = define(
    "KeytabAging",
    "The keytab has passed 90 % of spec.rotation.maxAge (a warning only).",
    "Rotate the account's password and export a new keytab.",
)
ACCOUNT_LOCKED_OR_DISABLED = define(
    "AccountRevoked",
    "The KDC refuses the account as revoked: it is disabled, locked or expired, and the KDC does not say which.",
    "Check the account in the domain, and enable, unlock or extend it.",
    _IDENTITY,
)
ACCOUNT_DISABLED = define(
    "AccountDisabled", "The KDC reports that the account is disabled.", "Enable the account in the domain.", _IDENTITY
)
ACCOUNT_LOCKED = define(
    "AccountLocked",
    "The KDC reports that the account is locked after too many wrong passwords or keys.",
    "Find out what else uses a wrong password for the account, then unlock it.",
    _IDENTITY,
)
ACCOUNT_EXPIRED = define(
    "AccountExpired",
    "The KDC reports that the account has expired.",
    "Extend or clear the account's expiry date in the domain.",
    _IDENTITY,
)
LOGON_RESTRICTED = define(
    "LogonRestricted",
    "The domain does not allow the account to log on at this time or from this host.",
    "Extend the account's logon hours, its list of workstations or its authentication policy.",
    _IDENTITY,
)
PASSWORD_EXPIRED = define(
    "PasswordExpired",
    "The account's password has expired.",
    "Set a new password, consider disabling its expiry for this service account, and export the keytab again.",
    _IDENTITY,
)
PREAUTH_FAILED = define(
    "PreauthFailed",
    "The KDC refused pre-authentication, and neither the clock nor the key version explains why.",
    "Export the keytab again. If the error remains, check the KDC's log for this principal.",
    _IDENTITY,
)
KEY_REFUSED: Final = frozenset({KEYTAB_STALE.name, SALT_MISMATCH.name, PREAUTH_FAILED.name})
"""The KDC refused a key. This counts toward the domain's lockout policy, so smbferry does not try that key for a
while."""
