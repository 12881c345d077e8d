"""The lab's Active Directory domain as tests drive it: users, passwords, keytabs, and the files behind the shares.

Works wherever the lab's environment is set (`eval "$(lab/lab env)"`, or inside `lab/lab tools`): everything goes
through the Docker API to the domain controller's container.
"""

from __future__ import annotations

import base64
import dataclasses
import os
import re
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from lab.smblab import keytab
from lab.support.domain.machine import DomainError, Machine, from_environment

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from lab.support.domain.machine import Account
    from lab.support.domain.shell import Result

ADMIN_PASSWORD = "/run/smbferry-lab/admin-password"
DATABASE = "/var/lib/samba/private/sam.ldb"
PRIVILEGES = "/var/lib/samba/private/privilege.ldb"
ENCTYPE_NAMES = {
    keytab.AES128_SHA1: "aes128-cts-hmac-sha1-96",
    keytab.AES256_SHA1: "aes256-cts-hmac-sha1-96",
    keytab.AES128_SHA256: "aes128-cts-hmac-sha256-128",
    keytab.AES256_SHA384: "aes256-cts-hmac-sha384-192",
    keytab.RC4: "arcfour-hmac",
}
# What Active Directory keeps for an account today.
DOMAIN_AES = (keytab.AES256_SHA1, keytab.AES128_SHA1)


class Domain(Machine):
    """The domain controller. `realm` is the Kerberos realm."""

    def __init__(self, container: Any, *, realm: str, server: str, address: str) -> None:
        super().__init__(container, server=server, address=address)
        self.realm = realm

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """The domain that the lab's variables name.

        Raises:
            DomainError: they aren't set, or nothing answers there.
        """
        names = (f"SMBFERRY_LAB_{name}" for name in ("REALM", "SERVER", "DC_ADDRESS", "DC_CONTAINER"))
        container, (realm, server, address) = from_environment(environ, *names)
        return cls(container, realm=realm, server=server, address=address)

    # --- accounts -----------------------------------------------------------------------------------------------

    def add_user(self, name: str, *, groups: Collection[str] = (), password: str | None = None) -> str:
        """Add a user to the domain and its groups (src-readers, dst-writers); returns the password."""
        chosen = password or new_password()
        self.call("add", name, chosen, list(groups))
        return chosen

    def delete_user(self, name: str) -> None:
        """Delete a user."""
        self.call("delete", name)

    @contextmanager
    def user(self, *groups: str, prefix: str = "t") -> Iterator[User]:
        """A user of this test's own, deleted afterwards."""
        name = f"{prefix}-{secrets.token_hex(4)}"
        added = User(self, name, self.add_user(name, groups=groups))
        try:
            yield added
        finally:
            self.delete_user(name)

    def set_password(self, name: str, password: str | None = None) -> str:
        """Change a user's password, which raises the kvno and makes older keytabs stale; returns the password."""
        chosen = password or new_password()
        self.call("set_password", name, chosen)
        return chosen

    @contextmanager
    def name_of(self, address: str) -> Iterator[str]:
        """A name in DNS for an address; gone afterwards."""
        with self._record("A", address) as name:
            yield name

    @contextmanager
    def alias(self) -> Iterator[str]:
        """Another name of the server: a CNAME, and the service principal that goes with it; gone afterwards."""
        host = self.server.partition(".")[0]
        with self._record("CNAME", self.server) as name:
            self.samba_tool("spn", "add", f"cifs/{name}", f"{host}$")
            try:
                yield name
            finally:
                self.samba_tool("spn", "delete", f"cifs/{name}", f"{host}$")

    @contextmanager
    def _record(self, type_: str, value: str) -> Iterator[str]:
        zone, label = self.server.partition(".")[2], f"a-{secrets.token_hex(4)}"
        password = self.run("cat", ADMIN_PASSWORD).text.strip()
        login = ("-U", f"Administrator%{password}", "--use-kerberos=required")
        record = (self.server, zone, label, type_, value)
        self.samba_tool("dns", "add", *record, *login)
        try:
            yield f"{label}.{zone}"
        finally:
            self.samba_tool("dns", "delete", *record, *login)

    def kvno(self, name: str) -> int:
        """The key version number that the domain has now for an account."""
        return int(self.call("kvno", name))

    def modify(self, name: str, *changes: str) -> None:
        """Change an account's attributes by the lines of an LDIF."""
        found = self.run("ldbsearch", "-H", DATABASE, f"(sAMAccountName={name})", "dn").text
        (dn,) = [line for line in found.splitlines() if line.startswith("dn: ")]
        with self._temporary("ldif") as path:
            self.put("\n".join([dn, "changetype: modify", *changes, ""]).encode(), path)
            self.run("ldbmodify", "-H", DATABASE, path)

    def rename(self, name: str, to: str) -> None:
        """Give an account another name to log on by; its keys stay as they are."""
        upn = f"{to}@{self.realm.lower()}"
        self.modify(
            name,
            "replace: sAMAccountName",
            f"sAMAccountName: {to}",
            "-",
            "replace: userPrincipalName",
            f"userPrincipalName: {upn}",
        )

    @contextmanager
    def privileged(self, user: Account, *privileges: str) -> Iterator[Account]:
        """As every machine's: in the domain controller's own database."""
        found = self.samba_tool("user", "show", user.name, "--attributes=objectSid")
        (sid,) = re.findall(r"^objectSid: (S-\S+)$", found, flags=re.MULTILINE)
        held = [f"privilege: {privilege}" for privilege in privileges]
        with self._temporary("ldif") as path:
            lines = [f"dn: sid={sid}", "objectClass: privilege", f"objectSid: {sid}", *held, ""]
            self.put("\n".join(lines).encode(), path)
            try:
                self.run("ldbadd", "-H", PRIVILEGES, path)
                yield user
            finally:
                self.run("ldbdel", "-H", PRIVILEGES, f"sid={sid}", check=False)

    # --- keytabs ------------------------------------------------------------------------------------------------

    def export_keytab(self, principal: str, *, enctypes: Collection[int] = DOMAIN_AES) -> bytes:
        """The domain's own keys of an account, those of the enctypes (numbers as in RFC 3962 and 8009) asked for.

        Raises:
            DomainError: the domain has none of them.
        """
        entries = keytab.parse(base64.b64decode(self.call("keys", principal)))
        chosen = [entry for entry in entries if entry.enctype in enctypes]
        if not chosen:
            have = sorted({entry.enctype for entry in entries})
            raise DomainError(f"{principal} has keys of the enctypes {have}, none of {sorted(enctypes)}")
        return keytab.write(chosen)

    def make_keytab(
        self,
        principal: str,
        password: str,
        *,
        kvno: int,
        enctypes: Collection[int] = DOMAIN_AES,
        salt: str | None = None,
    ) -> bytes:
        """A keytab made from a password by MIT's ktutil: any kvno, any salt (by default Kerberos' own)."""
        lines = []
        with self._temporary("keytab") as path:
            for enctype in enctypes:
                words = ["addent", "-password", "-p", principal, "-k", str(kvno), "-e", ENCTYPE_NAMES[enctype]]
                lines += [" ".join([*words, "-s", salt or default_salt(principal)]), password]
            script = "\n".join([*lines, f"wkt {path}", "quit", ""])
            self.run("sh", "-c", 'printf %s "$SCRIPT" | ktutil', env={"SCRIPT": script})
            return self.run("cat", path).output

    # --- files --------------------------------------------------------------------------------------------------

    def smbclient(
        self,
        user: str,
        share: str,
        *commands: str,
        port: int = 445,
        protection: str = "encrypt",
        check: bool = True,
        server: str | None = None,
    ) -> Result:
        """As every machine's; by `server` a share of another one of the domain."""
        return self.client(
            user, "smbclient", f"//{server or self.server}/{share}", f"--port={port}", "-c", ";".join(commands),
            protection=protection, check=check,
        )  # fmt: skip

    def client(
        self, user: str, program: str, *arguments: str, protection: str = "encrypt", check: bool = True
    ) -> Result:
        """As every machine's."""
        with self._temporary("keytab") as path, self._temporary("ccache") as ccache:
            self.put(self.export_keytab(user), path)
            env = {"KRB5CCNAME": ccache}
            self.run("kinit", "-k", "-t", path, f"{user}@{self.realm}", env=env)
            return self.run(
                program, *arguments, "--use-kerberos=required", f"--use-krb5-ccache={ccache}",
                f"--client-protection={protection}", env=env, check=check,
            )  # fmt: skip


@dataclasses.dataclass(frozen=True)
class User:
    """A user of the domain."""

    domain: Domain
    name: str
    password: str

    @property
    def principal(self) -> str:
        """The Kerberos principal."""
        return f"{self.name}@{self.domain.realm}"

    def keytab(self, *, enctypes: Collection[int] = DOMAIN_AES) -> bytes:
        """The keys that the domain has for it now."""
        return self.domain.export_keytab(self.name, enctypes=enctypes)


def new_password() -> str:
    """A password that passes any policy."""
    # Never first a "-": samba-tool would take it for an option.
    return "aA1!" + secrets.token_urlsafe(18)


def default_salt(principal: str) -> str:
    """The salt that Kerberos takes by default: the realm, then the name's components (RFC 4120, 4)."""
    name, realm = principal.rsplit("@", 1)
    return realm + name.replace("/", "")
