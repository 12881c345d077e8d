"""Looks up a file server, for checks and runs."""

from typing import Final

from smbferry_agent.kerberos.addresses import AddressRule, forbidden, parse_address
from smbferry_agent.kerberos.session import KerberosSession
from smbferry_agent.preflight.location_facts import ServerNames
from smbferry_agent.resolve import Resolver
from smbferry_engine import EngineError, Locate
from smbferry_words.reasons import SERVER_UNREACHABLE

_MAX_ADDRESSES: Final = 16


def look_up_server(
    resolver: Resolver, server: str, *, with_reverse: bool = False, address_rule: AddressRule = forbidden
) -> ServerNames:
    """Looks up the server's addresses, and sorts out forbidden ones."""
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
    """Returns a function that looks up the servers of DFS referrals, by the same rules as a location's server.

    The function also requests the service ticket, because the answer tells the server's realm. A refusal is reported
    when the connection is made.
    """

    def locate(server: str) -> tuple[str, ...]:
        names = look_up_server(resolver, server, address_rule=address_rule)
        if not names.addresses:
            found = "; ".join(names.refused) or names.lookup.describe()
            raise EngineError(SERVER_UNREACHABLE, f"expected an address of the DFS target {server}, got none: {found}")
        session.service_ticket(f"cifs/{server}")
        return names.addresses

    return locate
