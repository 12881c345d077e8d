"""Makes fs1 a member of the domain, inside its container: machine account, DNS records, accounts, rights, share roots.

Usage: join.py ADDRESS, then, when winbind runs, join.py --rights. Both are harmless where that was done before: a
file server that is started anew comes back to a domain that knows it.
"""

import os
import subprocess
import sys
from pathlib import Path

import ldb  # type: ignore[import-not-found]  # Samba's own, only in the container
from provision import ADMIN_PASSWORD, FQDN, REALM, password, reverse_name
from samba import WERRORError, werror  # type: ignore[import-not-found]  # as above
from samba.auth import system_session  # type: ignore[import-not-found]  # as above
from samba.credentials import MUST_USE_KERBEROS, Credentials  # type: ignore[import-not-found]  # as above
from samba.dcerpc import dnsserver, security, xattr  # type: ignore[import-not-found]  # as above
from samba.dnsserver import ARecord, PTRRecord  # type: ignore[import-not-found]  # as above
from samba.ndr import ndr_pack  # type: ignore[import-not-found]  # as above
from samba.net_s3 import Net  # type: ignore[import-not-found]  # as above
from samba.param import LoadParm  # type: ignore[import-not-found]  # as above
from samba.samba3 import param  # type: ignore[import-not-found]  # as above
from samba.samdb import SamDB  # type: ignore[import-not-found]  # as above

HOST = "fs1"
SMB_CONF = "/etc/samba/smb.conf"
BACKUP_OPERATORS = f"{HOST}-backup-operators"
# User → groups, as docs/how-to/least-privilege.md makes them; those named plain are no Backup Operators of fs1.
USERS = {
    "svc-src": ["src-readers", BACKUP_OPERATORS],
    "svc-dst": ["dst-writers", BACKUP_OPERATORS],
    "svc-src-plain": ["src-readers"],
    "svc-dst-plain": ["dst-writers"],
}
# Rights that Windows gives to a server's Backup Operators, and Samba to nobody before it is told.
RIGHTS = ("SeBackupPrivilege", "SeRestorePrivilege")
ALL, READ = "0x001f01ff", "0x001200a9"
# Modify, Change permissions and Take ownership.
MODIFY = "0x001f01bf"
OF_ALL = f"(A;OICI;{ALL};;;SY)(A;OICI;{ALL};;;BA)(A;OICIIO;{ALL};;;CO)"
ROOTS = {"acl-src": {"src-readers": READ}, "acl-dst": {"dst-writers": MODIFY}}
ROOTS["acl-both"] = ROOTS["acl-src"] | ROOTS["acl-dst"]


def administrator(settings: LoadParm) -> Credentials:
    """The domain's administrator, by Kerberos."""
    found = Credentials()
    found.guess(settings)
    found.set_username("Administrator")
    found.set_realm(REALM)
    found.set_password(ADMIN_PASSWORD.read_text().strip())
    found.set_kerberos_state(MUST_USE_KERBEROS)
    return found


def join(address: str) -> None:
    """Make the machine account, its DNS records and the accounts that use the file server."""
    settings = LoadParm(SMB_CONF)
    admin = administrator(settings)
    samba3 = param.get_context()
    samba3.load(SMB_CONF)
    Net(admin, samba3, server=FQDN).join_member(HOST.upper(), noDnsUpdates=True)
    name_in_dns(address, settings, admin)
    domain = SamDB(f"ldap://{FQDN}", session_info=system_session(), credentials=admin, lp=settings)
    name_services(domain)
    make_accounts(domain)


def name_in_dns(address: str, settings: LoadParm, admin: Credentials) -> None:
    """Add the server's records, forward and reverse, unless they are there."""
    zone, name = reverse_name(address)
    full = f"{HOST}.{REALM.lower()}"
    service = dnsserver.dnsserver(f"ncacn_ip_tcp:{FQDN}[sign]", settings, admin)
    for where, what, record in ((REALM.lower(), HOST, ARecord(address)), (zone, name, PTRRecord(full))):
        buffer = dnsserver.DNS_RPC_RECORD_BUF()
        buffer.rec = record
        try:
            service.DnssrvUpdateRecord2(dnsserver.DNS_CLIENT_VERSION_LONGHORN, 0, FQDN, where, what, buffer, None)
        except WERRORError as error:
            if error.args[0] != werror.WERR_DNS_ERROR_RECORD_ALREADY_EXISTS:
                raise


def name_services(domain: SamDB) -> None:
    """Give the machine account the names that a Windows server registers; `cifs` is one of the services of HOST."""
    (machine,) = domain.search(domain.domain_dn(), ldb.SCOPE_SUBTREE, f"(sAMAccountName={HOST}$)", ["dn"])
    names = [f"{kind}/{name}" for kind in ("HOST", "RestrictedKrbHost") for name in (HOST, f"{HOST}.{REALM.lower()}")]
    change = ldb.Message(machine.dn)
    change["servicePrincipalName"] = ldb.MessageElement(names, ldb.FLAG_MOD_REPLACE, "servicePrincipalName")
    domain.modify(change)


def make_accounts(domain: SamDB) -> None:
    """Make those that are not there yet."""

    def found(name: str) -> ldb.Message | None:
        where = (domain.domain_dn(), ldb.SCOPE_SUBTREE, f"(sAMAccountName={name})", ["memberOf"])
        return next(iter(domain.search(*where)), None)

    if found(BACKUP_OPERATORS) is None:
        domain.newgroup(BACKUP_OPERATORS)
    for user, groups in USERS.items():
        if found(user) is None:
            domain.newuser(user, password())
        joined = {str(dn) for dn in found(user).get("memberOf", ())}
        for group in groups:
            if str(found(group).dn) not in joined:
                domain.add_remove_group_members(group, [user], add_members_operation=True)


def net(*arguments: str) -> None:
    """Run one command of `net sam`, which needs no password here; end this program where it fails."""
    done = subprocess.run(["net", "sam", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"net sam {' '.join(arguments)} failed: {done.stdout}{done.stderr}")


def grant() -> None:
    """Make the server's own groups, give Backup Operators their rights, and write the access lists of share roots."""
    for group, member in (("Administrators", "Domain Admins"), ("Backup Operators", BACKUP_OPERATORS)):
        net("createbuiltingroup", group)
        net("addmem", f"BUILTIN\\{group}", f"CORP\\{member}")
    net("rights", "grant", "BUILTIN\\Backup Operators", *RIGHTS)
    for share, grants in ROOTS.items():
        lists = "".join(f"(A;OICI;{mask};;;{sid(group)})" for group, mask in grants.items())
        describe(Path("/srv", share), f"O:BAG:SYD:PAI{OF_ALL}{lists}")
    small, inherited = Path("/srv/acl-dst/tight"), f"{OF_ALL}(A;OICI;{MODIFY};;;{sid('dst-writers')})"
    describe(small, "O:BAG:SYD:AI" + inherited.replace("OICI", "OICIID"))


def sid(group: str) -> str:
    """The SID of a group of the domain."""
    said = subprocess.run(["wbinfo", "--name-to-sid", f"CORP\\{group}"], capture_output=True, text=True, check=True)
    return said.stdout.split()[0]


def describe(folder: Path, sddl: str) -> None:
    """Write a security descriptor where vfs_acl_xattr keeps it; everyone may do everything, as far as POSIX goes."""
    folder.chmod(0o777)
    kept = xattr.NTACL()
    kept.version = 1
    kept.info = security.descriptor.from_sddl(sddl, security.dom_sid("S-1-5-32"))
    os.setxattr(folder, "security.NTACL", ndr_pack(kept))


if __name__ == "__main__":
    if sys.argv[1] == "--rights":
        grant()
    else:
        join(sys.argv[1])
