"""Looks a file server up: the one piece of DNS that checks and runs share."""

from typing import Final

from smbferry_agent.kerberos.addresses import AddressRule, forbidden, parse_address
from smbferry_agent.kerberos.session import KerberosSession
from smbferry_agent.preflight.location_facts import ServerNames
from smbferry_agent.resolve import Resolver
from smbferry_engine import SERVER_UNREACHABLE, EngineError, Locate

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


def locator(resolver: Resolver, session: KerberosSession, address_rule: AddressRule = forbidden) -> Locate:
    """Looks up the servers that DFS referrals name, by the same rules as those that a location names.

    The ticket is asked for here already, because that tells which realm the server is in; a refusal is told by whoever
    connects.
    """

    def locate(server: str) -> tuple[str, ...]:
        names = look_up_server(resolver, server, address_rule=address_rule)
        if not names.addresses:
            found = "; ".join(names.refused) or names.lookup.describe()
            raise EngineError(SERVER_UNREACHABLE, f"an address of the DFS target {server} expected; {found}")
        session.service_ticket(f"cifs/{server}")
        return names.addresses

    return locate
