"""Looks a file server up: the one piece of DNS that checks and runs share."""

from typing import Final

from smbferry_agent.kerberos.addresses import AddressRule, forbidden, parse_address
from smbferry_agent.preflight.location_facts import ServerNames
from smbferry_agent.resolve import Resolver

_MAX_ADDRESSES: Final = 16


def look_up_server(
    resolver: Resolver, server: str, *, with_reverse: bool = False, address_rule: AddressRule = forbidden
) -> ServerNames:
    """Addresses of the server that may be connected to."""
    lookup = resolver.addresses(server)
    allowed, refused = [], []
    for text in lookup.answers:
        address = parse_address(text)
        why = address_rule(address) if address else "not an address"
        if why:
            refused.append(f"{text}, {why}")
        else:
            allowed.append(text)
    reverse = resolver.reverse(allowed[0]) if allowed and with_reverse else None
    return ServerNames(lookup, tuple(allowed[:_MAX_ADDRESSES]), tuple(refused), reverse)
