"""Makes the domain inside its container: realm, policy, groups, service users, keytabs; later its reverse DNS zone.

samba-tool is called in this process, so that no password appears in a process list.
"""

import contextlib
import secrets
import shutil
import string
import sys
from collections.abc import Iterator
from pathlib import Path

from samba.netcmd.main import cmd_sambatool  # type: ignore[import-not-found]  # Samba's own, only in the container

REALM = "CORP.EXAMPLE.COM"
DOMAIN = "CORP"
HOST = "dc1"
FQDN = f"{HOST}.{REALM.lower()}"
ADMIN_PASSWORD = Path("/run/smbferry-lab/admin-password")
SMB_CONF = Path("/etc/samba/smb.conf")
KEYTABS = Path("/var/lib/smbferry-lab/keytabs")
# User → groups. Backup Operators may set owners and read what a DACL would deny, as a migration's account does.
USERS = {
    "svc-src": ["src-readers"],
    "svc-dst": ["dst-writers", "Backup Operators"],
    "ready": ["src-readers"],
}
GROUPS = ("src-readers", "dst-writers")


def samba_tool(*arguments: str) -> None:
    """Run one samba-tool command; end this program where it fails."""
    result = cmd_sambatool()._run("samba-tool", *arguments)  # noqa: SLF001 (the entry point that samba-tool itself uses)
    if result:
        sys.exit(f"samba-tool {arguments[0]} {arguments[1]} failed ({result})")


@contextlib.contextmanager
def own_configuration() -> Iterator[None]:
    """Set the lab's smb.conf aside: provision wants to write one of its own."""
    kept = SMB_CONF.with_suffix(".lab")
    SMB_CONF.rename(kept)
    try:
        yield
    finally:
        kept.rename(SMB_CONF)


def password() -> str:
    """A random password that passes any policy."""
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(40)) + "aA1!"


def make_domain(address: str) -> None:
    """Provision the realm and everything in it that needs no running service."""
    for leftover in Path("/var/lib/samba/private").glob("*"):
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
    with own_configuration():
        samba_tool(
            "domain", "provision", f"--realm={REALM}", f"--domain={DOMAIN}", "--server-role=dc",
            "--dns-backend=SAMBA_INTERNAL", f"--host-name={HOST}", f"--host-ip={address}",
            f"--adminpass={ADMIN_PASSWORD.read_text().strip()}",
        )  # fmt: skip
    samba_tool(
        "domain", "passwordsettings", "set", "--complexity=off", "--history-length=0", "--min-pwd-age=0",
        "--max-pwd-age=0", "--min-pwd-length=4",
    )  # fmt: skip
    # What controllers register of themselves, and smb.conf keeps this one from: a member finds the directory by it.
    samba_tool("spn", "add", f"ldap/{FQDN}", f"{HOST}$")
    for group in GROUPS:
        samba_tool("group", "add", group)
    KEYTABS.mkdir(mode=0o700, parents=True, exist_ok=True)
    for user, groups in USERS.items():
        samba_tool("user", "create", user, password())
        for group in groups:
            samba_tool("group", "addmembers", group, user)
        samba_tool("domain", "exportkeytab", str(KEYTABS / f"{user}.keytab"), f"--principal={user}")


def reverse_name(address: str) -> tuple[str, str]:
    """The reverse zone of an address' /24, and the name in it."""
    octets = address.split(".")
    return ".".join(reversed(octets[:3])) + ".in-addr.arpa", octets[3]


def login() -> list[str]:
    """The words of samba-tool that make it the domain's administrator."""
    return ["-U", f"Administrator%{ADMIN_PASSWORD.read_text().strip()}", "--use-kerberos=required"]


def make_zones(address: str) -> None:
    """Make the reverse zone and the controller's PTR record in it."""
    zone, name = reverse_name(address)
    samba_tool("dns", "zonecreate", FQDN, zone, *login())
    samba_tool("dns", "add", FQDN, zone, name, "PTR", FQDN, *login())


if __name__ == "__main__":
    if sys.argv[1] == "--zones":
        make_zones(sys.argv[2])
    else:
        make_domain(sys.argv[1])
