"""Runs inside the domain controller: makes, or removes, a realm that trusts the domain, as domains know one another.

Usage: add REALM PASSWORD | remove REALM

Samba's KDC takes part in a trust by a trustedDomain object of type UPLEVEL alone, not by the type that Active Directory
has for MIT realms; `samba-tool domain trust create` makes one too, but only where a domain controller answers for the
other side. The object's SID is of no meaning here: nobody of the other realm is known in this one.
"""

import sys

import ldb  # type: ignore[import-not-found]  # Samba's own, installed in the container
from samba.auth import system_session  # type: ignore[import-not-found]  # as above
from samba.dcerpc import drsblobs, lsa, security  # type: ignore[import-not-found]  # as above
from samba.ndr import ndr_pack  # type: ignore[import-not-found]  # as above
from samba.param import LoadParm  # type: ignore[import-not-found]  # as above
from samba.samdb import SamDB  # type: ignore[import-not-found]  # as above

AES = 0x18  # msDS-SupportedEncryptionTypes (MS-KILE section 2.2.7)


def secret(password: str) -> bytes:
    """The key both sides share, as trustAuthIncoming holds it (MS-ADTS section 6.1.6.9.1)."""
    clear = drsblobs.AuthInfoClear()
    octets = list(password.encode("utf-16-le"))
    clear.size, clear.password = len(octets), octets  # in this order: it takes no more octets than the size says
    entry = drsblobs.AuthenticationInformation()
    entry.AuthType, entry.AuthInfo = lsa.TRUST_AUTH_TYPE_CLEAR, clear
    entries = drsblobs.AuthenticationInformationArray()
    entries.count, entries.array = 1, [entry]
    blob = drsblobs.trustAuthInOutBlob()
    blob.count, blob.current = 1, entries
    packed: bytes = ndr_pack(blob)
    return packed


def main(verb: str, realm: str, *password: str) -> None:
    """Does what the arguments say; what was left of an earlier one is removed first."""
    settings = LoadParm()
    settings.load_default()
    database = SamDB(settings.private_path("sam.ldb"), session_info=system_session(), lp=settings)
    name = f"CN={realm.lower()},CN=System,{database.domain_dn()}"
    if database.search(database.domain_dn(), ldb.SCOPE_SUBTREE, f"(&(objectClass=trustedDomain)(cn={realm.lower()}))"):
        database.delete(name)
    if verb == "add":
        attributes = {
            "dn": name,
            "objectClass": "trustedDomain",
            "trustPartner": realm.lower(),
            "flatName": realm.partition(".")[0],
            "trustType": str(lsa.LSA_TRUST_TYPE_UPLEVEL),
            "trustDirection": str(lsa.LSA_TRUST_DIRECTION_INBOUND),
            "trustAttributes": "0",
            "securityIdentifier": ndr_pack(security.dom_sid("S-1-5-21-1-2-3")),
            "msDS-SupportedEncryptionTypes": str(AES),
            "trustAuthIncoming": secret(*password),
        }
        database.add(attributes, ["relax:0"])


if __name__ == "__main__":
    main(*sys.argv[1:])
