"""Renders a krb5.conf from checked values, the only one that libkrb5 reads."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from smbferry_agent.kerberos.krb5_config import Krb5Config
from smbferry_api.identity import Enctype

# kdc_timesync makes libkrb5 continue despite clock skew: the agent measures the offset and compares it with
# clockSkewTolerance, so that a check reports all problems at once. No UDP, reverse lookups or primary KDC: each would
# send a refused key again. Short names stay unchanged: a pod's search domain is not that of a file server, and a KDC
# knows hosts by their short names, too.
_FIXED: Final = {
    "dns_lookup_kdc": "false",
    "dns_lookup_realm": "false",
    "dns_uri_lookup": "false",
    "dns_canonicalize_hostname": "false",
    "rdns": "false",
    "qualify_shortname": '""',
    "udp_preference_limit": "1",
    "kdc_timesync": "1",
    "allow_weak_crypto": "false",
    "forwardable": "false",
    "proxiable": "false",
}


def render(
    config: Krb5Config,
    *,
    realm: str,
    enctypes: Sequence[Enctype],
    kdcs: Mapping[str, Sequence[tuple[str, int]]],
) -> str:
    """The file's text.

    Args:
        realm: the identity's realm, which becomes the default realm.
        kdcs: address and port of each realm's KDCs, in order. libkrb5 looks up none, as it would check no addresses.
    """
    return "\n".join(_lines(config, realm, enctypes, kdcs)) + "\n"


def _lines(
    config: Krb5Config, realm: str, enctypes: Sequence[Enctype], kdcs: Mapping[str, Sequence[tuple[str, int]]]
) -> Iterator[str]:
    permitted = " ".join(e.value for e in enctypes)
    yield "[libdefaults]"
    yield f"    default_realm = {realm}"
    yield from (f"    {key} = {value}" for key, value in _FIXED.items())
    for key in ("permitted_enctypes", "default_tkt_enctypes", "default_tgs_enctypes"):
        yield f"    {key} = {permitted}"
    for key, value in (("ticket_lifetime", config.ticket_lifetime), ("renew_lifetime", config.renew_lifetime)):
        if value:
            yield f"    {key} = {value}"
    yield "[realms]"
    for name, addresses in kdcs.items():
        yield f"    {name} = {{"
        yield from (f"        kdc = {_target(host, port)}" for host, port in addresses)
        yield "    }"
    yield "[domain_realm]"
    yield from (f"    {domain} = {name}" for domain, name in config.domain_realm.items())
    yield "[capaths]"
    for client, servers in config.capaths.items():
        yield f"    {client} = {{"
        yield from (f"        {server} = {hop}" for server, via in servers.items() for hop in via)
        yield "    }"


def _target(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
