"""Secrets and ConfigMaps as the kubelet mounts them: a file per key, an empty folder for a missing object."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from smbferry_agent.errors import AgentError
from smbferry_api.agent_contract import Side, keytab_dir, krb5_config_dir
from smbferry_api.identity import KerberosIdentitySpec
from smbferry_api.reasons import (
    CONFIG_MAP_KEY_NOT_FOUND,
    CONFIG_MAP_NOT_FOUND,
    KEYTAB_TOO_LARGE,
    KEYTAB_UNREADABLE,
    KRB5_CONFIG_INVALID,
    SECRET_KEY_NOT_FOUND,
    SECRET_NOT_FOUND,
    Reason,
)

MAX_KEYTAB: Final = 64 * 1024
MAX_KRB5_CONFIG: Final = 128 * 1024


@dataclass(frozen=True, slots=True)
class IdentityMount:
    """The folders of one identity's Secret and ConfigMap.

    Attributes:
        where: the place where they were looked for, for messages.
    """

    keytab_dir: Path
    krb5_dir: Path
    where: str = "in this namespace"

    @classmethod
    def of(cls, side: Side) -> "IdentityMount":
        """The mount in an agent's pod."""
        return cls(Path(keytab_dir(side)), Path(krb5_config_dir(side)))

    def read_keytab(self, spec: KerberosIdentitySpec) -> bytes:
        """Reads the keytab, at most 64 KiB.

        Raises:
            AgentError: SecretNotFound, SecretKeyNotFound, KeytabTooLarge, KeytabUnreadable.
        """
        ref = spec.keytab_secret_ref
        missing = (SECRET_NOT_FOUND, SECRET_KEY_NOT_FOUND)
        what, reasons = f"Secret {ref.name!r}", (*missing, KEYTAB_UNREADABLE)
        data = read_key(self.keytab_dir, what, ref.key, reasons, limit=MAX_KEYTAB, where=self.where)
        if len(data) > MAX_KEYTAB:
            raise AgentError(KEYTAB_TOO_LARGE, f"Key {ref.key!r} of Secret {ref.name!r} is larger than 64 KiB.")
        return data

    def read_krb5_config(self, spec: KerberosIdentitySpec) -> str:
        """Reads the krb5.conf, at most 128 KiB.

        Raises:
            AgentError: ConfigMapNotFound, ConfigMapKeyNotFound, Krb5ConfigInvalid.
        """
        ref = spec.krb5_config_map_ref
        missing = (CONFIG_MAP_NOT_FOUND, CONFIG_MAP_KEY_NOT_FOUND)
        what, reasons = f"ConfigMap {ref.name!r}", (*missing, KRB5_CONFIG_INVALID)
        data = read_key(self.krb5_dir, what, ref.key, reasons, limit=MAX_KRB5_CONFIG, where=self.where)
        if len(data) > MAX_KRB5_CONFIG:
            raise AgentError(KRB5_CONFIG_INVALID, f"Key {ref.key!r} of ConfigMap {ref.name!r} is larger than 128 KiB.")
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise AgentError(
                KRB5_CONFIG_INVALID,
                f"Key {ref.key!r} of ConfigMap {ref.name!r} is not UTF-8 text (byte {error.start}).",
            ) from error


def read_key(
    folder: Path, what: str, key: str, reasons: tuple[Reason, Reason, Reason], *, limit: int, where: str
) -> bytes:
    """Reads at most limit + 1 bytes of a key's file.

    Args:
        reasons: for a missing object, a missing key, an unreadable file.
        where: the place where the object was looked for.

    Raises:
        AgentError: one of the reasons.
    """
    no_object, no_key, unreadable = reasons
    try:
        # The kubelet uses names that begin with ".." for itself.
        keys = sorted(p.name for p in folder.iterdir() if not p.name.startswith("..")) if folder.is_dir() else []
        if not keys:
            raise AgentError(no_object, f"{what} does not exist {where}, or is empty.")
        if key not in keys:
            raise AgentError(no_key, f"{what} has no key {key!r}; it has {', '.join(map(repr, keys[:10]))}.")
        with (folder / key).open("rb") as file:
            return file.read(limit + 1)
    except OSError as error:
        raise AgentError(unreadable, f"Key {key!r} of {what} could not be read: {error.strerror}.") from error
