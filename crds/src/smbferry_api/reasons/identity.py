"""The principal, its keytab and its account."""

from typing import Final

from smbferry_api.exit_codes import FailureClass
from smbferry_api.reason import define

_CONFIGURATION = FailureClass.CONFIGURATION
_IDENTITY = FailureClass.IDENTITY
_POLICY = FailureClass.POLICY

KEYTAB_UNREADABLE = define(
    "KeytabUnreadable",
    "The Secret's value is not a keytab, or is cut short.",
    "Export the keytab again and store it unchanged (binary, not base64 twice).",
    _CONFIGURATION,
)
KEYTAB_TOO_LARGE = define(
    "KeytabTooLarge",
    "The keytab is larger than 64 KiB.",
    "Export a keytab that holds only this principal's keys.",
    _CONFIGURATION,
)
PRINCIPAL_NOT_IN_KEYTAB = define(
    "PrincipalNotInKeytab",
    "The keytab has no entry for spec.principal.",
    "Correct spec.principal, or export a keytab for it; the message lists the principals found.",
    _IDENTITY,
)
PRINCIPAL_CASE_MISMATCH = define(
    "PrincipalCaseMismatch",
    "The keytab holds this principal in another case; Kerberos names are case-sensitive.",
    "Write spec.principal exactly as the keytab and the account have it.",
    _IDENTITY,
)
PRINCIPAL_UNKNOWN = define(
    "PrincipalUnknown",
    "The KDC does not know the principal.",
    "Check the account's user principal name and its case in the domain.",
    _IDENTITY,
)
ENCTYPE_REFUSED = define(
    "EnctypeRefused",
    "The keytab, the account or the ticket has no permitted encryption type (RC4 and DES are refused).",
    "Enable AES on the account (msDS-SupportedEncryptionTypes 24), reset its password, export the keytab again.",
    _POLICY,
)
KEYTAB_STALE = define(
    "KeytabStale",
    "The KDC refused the keytab's key: the account's password was changed after the keytab was made.",
    "Export a new keytab for the account and update the Secret; the check repeats by itself.",
    _IDENTITY,
)
KEYTAB_AHEAD = define(
    "KeytabAhead",
    "The keytab's newest key is ahead of the KDC's: an older key in it still works.",
    "Wait until the domain controllers have replicated, or export the keytab from the one that answers.",
    _IDENTITY,
)
KVNO_NUMBER_WRONG = define(
    "KvnoNumberWrong",
    "The key is right, but stands under a version number that is not the KDC's (as ktpass /kvno makes it).",
    "Export the keytab with the account's true key version number.",
    _IDENTITY,
)
SALT_MISMATCH = define(
    "SaltMismatch",
    "The key was derived with another salt than the KDC uses (an account that was renamed, or a hand-made keytab).",
    "Export the keytab from the domain, which has the right keys, or reset the password, which takes the new salt.",
    _IDENTITY,
)
KEYTAB_AGING = define(
    "KeytabAging",
    "The keytab is in the last tenth of the age that spec.rotation.maxAge allows, or past it (a warning only).",
    "Rotate the account's password and export a new keytab.",
)
ACCOUNT_LOCKED_OR_DISABLED = define(
    "AccountRevoked",
    "The KDC refuses the account as revoked and does not say why: it is disabled, locked or expired.",
    "Look at the account in the domain, and enable or unlock it.",
    _IDENTITY,
)
ACCOUNT_DISABLED = define(
    "AccountDisabled", "The KDC says that the account is disabled.", "Enable the account in the domain.", _IDENTITY
)
ACCOUNT_LOCKED = define(
    "AccountLocked",
    "The KDC says that the account is locked, after too many wrong passwords or keys.",
    "Find who else tries wrong passwords for the account, then unlock it.",
    _IDENTITY,
)
ACCOUNT_EXPIRED = define(
    "AccountExpired",
    "The KDC says that the account has expired.",
    "Move or clear the account's expiry date in the domain.",
    _IDENTITY,
)
LOGON_RESTRICTED = define(
    "LogonRestricted",
    "The domain does not let the account log on at this time, or from here.",
    "Widen the account's logon hours, the workstations it may log on to, or its authentication policy.",
    _IDENTITY,
)
PASSWORD_EXPIRED = define(
    "PasswordExpired",
    "The account's password has expired.",
    "Set a new password (or let it never expire for this service account) and export the keytab again.",
    _IDENTITY,
)
PREAUTH_FAILED = define(
    "PreauthFailed",
    "The KDC refused the pre-authentication, and neither clock nor key version explain it.",
    "Export the keytab again; if it stays, look at the KDC's log for this principal.",
    _IDENTITY,
)
KEY_REFUSED: Final = frozenset({KEYTAB_STALE.name, SALT_MISMATCH.name, PREAUTH_FAILED.name})
"""The KDC refused a key, which counts towards a domain's lockout policy: nothing tries that key again for a while."""

KDC_ERROR = define(
    "KdcError",
    "The KDC answered with an error that smbferry does not know better.",
    "Look up the code that the message names in RFC 4120 section 7.5.9 and in the KDC's log.",
    _IDENTITY,
)
