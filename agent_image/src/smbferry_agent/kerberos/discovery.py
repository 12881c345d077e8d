"""The KDCs of a realm: the kdc lines of krb5.conf in order, else SRV records by priority and weight."""

from collections.abc import Callable, Iterable
from typing import Final

from smbferry_agent.kerberos.addresses import AddressRule, forbidden, parse_address
from smbferry_agent.kerberos.facts import Discovery, Kdc, KdcSource
from smbferry_agent.kerberos.krb5_config import KdcTarget, Krb5Config
from smbferry_agent.resolve import Lookup, Resolver, by_priority

_MAX_KDCS: Final = 16


def srv_name(realm: str) -> str:
    """The SRV record's name (RFC 4120 section 7.2.3.2)."""
    return f"_kerberos._tcp.{realm}"


def discover(config: Krb5Config, realm: str, resolver: Resolver, address_rule: AddressRule = forbidden) -> Discovery:
    """The KDCs of the realm, with resolved names and without forbidden addresses. Asks DNS if necessary."""
    if targets := config.realms.get(realm, ()):
        return _resolve(KdcSource.CONFIG, targets, (), resolver, address_rule)
    if not config.dns_lookup_kdc or config.needs_proxy(realm):
        return Discovery(KdcSource.CONFIG, ())
    lookup, records = resolver.services(srv_name(realm))
    found = [KdcTarget(r.host, r.port) for r in by_priority(records)]
    return _resolve(KdcSource.SRV, found, (lookup,), resolver, address_rule)


class Discoveries:
    """Realms that were looked up, each once: when it is first asked for."""

    def __init__(self, find: Callable[[str], Discovery]) -> None:
        self._find = find
        self._found: dict[str, Discovery] = {}

    def of(self, realm: str) -> Discovery:
        """The KDCs of a realm; the first call asks DNS if necessary."""
        if realm not in self._found:
            self._found[realm] = self._find(realm)
        return self._found[realm]

    def without_kdc(self, realm: str) -> bool:
        """Whether the realm was looked up and no KDC of it was found."""
        found = self._found.get(realm)
        return found is not None and not (found.kdcs or found.refused)


def _resolve(
    source: KdcSource,
    targets: Iterable[KdcTarget],
    lookups: tuple[Lookup, ...],
    resolver: Resolver,
    address_rule: AddressRule,
) -> Discovery:
    kdcs: list[Kdc] = []
    refused: list[str] = []
    asked = list(lookups)
    for target in targets:
        addresses: tuple[str, ...] = (target.host,)
        if parse_address(target.host) is None:
            asked.append(lookup := resolver.addresses(target.host))
            addresses = lookup.answers
        for text in addresses:
            address = parse_address(text)
            if address is not None and (why := address_rule(address)):
                refused.append(f"{target.host} is {text}, {why}")
            else:
                kdcs.append(Kdc(target.host, text, target.port, source))
    return Discovery(source, tuple(dict.fromkeys(kdcs))[:_MAX_KDCS], tuple(asked), tuple(refused))
