"""MIT Kerberos: a KDC that is not Active Directory, and Samba file servers that take its tickets.

One container, made from the domain controller's image for the tests that ask for it. It serves three realms: users of
MIT.EXAMPLE.COM may use services of PARTNER.EXAMPLE.NET, and by way of that one those of REMOTE.EXAMPLE.ORG.
"""

from __future__ import annotations

import os
import secrets
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker  # type: ignore[import-untyped]  # it publishes no types
from lab.smblab import keytab
from lab.smblab.domain import IMAGE
from lab.smblab.settings import NETWORK
from lab.smblab.tools import LABEL
from lab.support.domain.archive import packed
from lab.support.domain.domain import DOMAIN_AES, Domain, new_password
from lab.support.domain.machine import DomainError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from lab.support.domain.domain import User

FILES = Path(__file__).with_name("mit_realms")
TRUSTED_DOMAIN = Path(__file__).with_name("trusted_domain.py").read_text()
REALM, PARTNER, REMOTE = "MIT.EXAMPLE.COM", "PARTNER.EXAMPLE.NET", "REMOTE.EXAMPLE.ORG"
INSIDE = "/mit"
SERVER_KEYTAB = f"{INSIDE}/server.keytab"
ENVIRONMENT = {"KRB5_CONFIG": f"{INSIDE}/krb5.conf", "KRB5_KDC_PROFILE": f"{INSIDE}/kdc.conf"}
START_SECONDS = 30.0
AHEAD_PORT = 1445  # where the file server's clock is ten minutes ahead


class MitRealms(Domain):
    """The three realms; `realm` is the users' own, whose accounts the methods of `Domain` manage by kadmin here."""

    def kadmin(self, *query: str, realm: str = REALM) -> str:
        """Run one query of kadmin.local; returns what it said.

        Raises:
            DomainError: kadmin said that it could not do it (it ends with 0 all the same).
        """
        said = self.run("kadmin.local", "-r", realm, "-q", " ".join(query), env=ENVIRONMENT).text
        failed = [line for line in said.splitlines() if " while " in line]
        if failed:
            raise DomainError(f"kadmin {query[0]}: {failed[0]}")
        return said

    def add_user(self, name: str, *, groups: Collection[str] = (), password: str | None = None) -> str:
        """Add a principal, and the Unix user that the file servers map it to; `groups` say "unix" or nothing."""
        chosen = password or new_password()
        self.kadmin("addprinc", "-pw", chosen, name)
        if "unix" in groups:
            self._add_unix_user(name)
        return chosen

    def _add_unix_user(self, name: str) -> None:
        self.run("useradd", "--no-create-home", "--no-user-group", name)

    def delete_user(self, name: str) -> None:
        """Delete the principal, and the Unix user where there is one."""
        self.kadmin("delprinc", "-force", name)
        self.run("userdel", name, check=False)

    def set_password(self, name: str, password: str | None = None) -> str:
        """Change a principal's password, which raises its kvno; returns the password."""
        chosen = password or new_password()
        self.kadmin("change_password", "-pw", chosen, name)
        return chosen

    def kvno(self, name: str) -> int:
        """The key version that the KDC has now."""
        (shown,) = [line for line in self.kadmin("getprinc", "-terse", name).splitlines() if line.startswith('"')]
        return int(shown.split("\t")[8])  # print_princ() of MIT's kadmin.c gives the order of the fields

    def modify_principal(self, name: str, *options: str) -> None:
        """Change attributes, as in `-pwexpire yesterday` or `-allow_tix`."""
        self.kadmin("modprinc", *options, name)

    def export_keytab(self, principal: str, *, enctypes: Collection[int] = DOMAIN_AES, realm: str = REALM) -> bytes:
        """The KDC's own keys of a principal, those of the enctypes asked for.

        Raises:
            DomainError: it has none of them.
        """
        with self._temporary("keytab") as path:
            self.kadmin("ktadd", "-k", path, "-norandkey", principal, realm=realm)
            entries = keytab.parse(self.run("cat", path).output)
        chosen = [entry for entry in entries if entry.enctype in enctypes]
        if not chosen:
            raise DomainError(f"{principal} has no keys of the enctypes {sorted(enctypes)}")
        return keytab.write(chosen)

    @contextmanager
    def trusts(self, domain: Domain, *users: User) -> Iterator[None]:
        """Let users of the domain use services of this realm, by a trust between the KDCs, while the block lasts.

        The file servers map each user to the Unix user of that name, so there must be one.
        """
        shared = new_password()
        ticket_service = f"krbtgt/{self.realm}@{domain.realm}"
        self.kadmin("addprinc", "-pw", shared, ticket_service)
        domain.run("python3", "-c", TRUSTED_DOMAIN, "add", self.realm, shared)
        for user in users:
            self._add_unix_user(user.name)
        try:
            yield
        finally:
            domain.run("python3", "-c", TRUSTED_DOMAIN, "remove", self.realm)
            self.kadmin("delprinc", "-force", ticket_service)

    def give_server_keys(self, data: bytes) -> None:
        """Give the file servers the keys of another keytab in place of those that its services had."""
        given = keytab.parse(data)
        services = {entry.principal for entry in given}
        before = keytab.parse(self.run("cat", SERVER_KEYTAB).output)
        kept = [entry for entry in before if entry.principal not in services]
        self.put(keytab.write([*kept, *given]), SERVER_KEYTAB)

    @contextmanager
    def server_keytab(self, data: bytes) -> Iterator[None]:
        """Give the file servers another keytab for a while; they read it at every session."""
        before = self.run("cat", SERVER_KEYTAB).output
        self.put(data, SERVER_KEYTAB)
        try:
            yield
        finally:
            self.put(before, SERVER_KEYTAB)


def config(realms: MitRealms, *, more: str = "") -> str:
    """A client's krb5.conf of the three realms, as a person would write it."""
    blocks = "\n".join(
        f"    {realm} = {{\n        kdc = {realms.address}\n    }}" for realm in (REALM, PARTNER, REMOTE)
    )
    maps = "\n".join(f"    .{realm.lower()} = {realm}" for realm in (REALM, PARTNER, REMOTE))
    return f"[libdefaults]\n    default_realm = {REALM}\n[realms]\n{blocks}\n[domain_realm]\n{maps}\n{more}"


@contextmanager
def mit_realms(environ: Mapping[str, str] = os.environ) -> Iterator[MitRealms]:
    """The container for as long as the block lasts.

    Raises:
        DomainError: it was not ready in time.
    """
    client = docker.from_env(environment=dict(environ))
    container = client.containers.create(
        IMAGE,
        entrypoint=["/usr/bin/tini", "-g", "--", f"{INSIDE}/entry.sh"],
        name=f"smbferry-mit-{secrets.token_hex(3)}",
        network=NETWORK,
        labels={LABEL: ""},  # so that taking the lab down removes what a killed test run left
        healthcheck={"test": ["NONE"]},
    )
    try:
        container.put_archive("/", _files())
        container.start()
        _wait(container)
        container.reload()
        address = container.attrs["NetworkSettings"]["Networks"][NETWORK]["IPAddress"]
        yield MitRealms(container, realm=REALM, server=f"files.{REALM.lower()}", address=address)
    finally:
        container.remove(force=True, v=True)


def _files() -> bytes:
    return packed({f"{INSIDE}/{file.name}": file.read_bytes() for file in sorted(FILES.iterdir())})


def _wait(container: Any) -> None:
    until = time.monotonic() + START_SECONDS
    while container.exec_run(["test", "-e", f"{INSIDE}/ready"]).exit_code:
        container.reload()
        if container.status != "running" or time.monotonic() > until:
            said = container.logs(tail=30).decode(errors="replace")
            raise DomainError(f"the MIT realms were not ready after {START_SECONDS:.0f} s:\n{said}")
        time.sleep(0.1)
