"""Which network addresses the agent may connect to because of a manifest or a DNS answer.

Whoever may write a ConfigMap controls krb5.conf. Loopback, link-local and cloud metadata addresses are never KDCs;
connecting to them would give access to services that are meant for the node only.
"""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

Address = IPv4Address | IPv6Address
AddressRule = Callable[[Address], str | None]

# Metadata services that are not link-local: Alibaba Cloud, Azure's wire server, AWS over IPv6.
_METADATA: Final = frozenset(map(ip_address, ("100.100.100.200", "168.63.129.16", "fd00:ec2::254")))


def parse_address(text: str) -> Address | None:
    """Parses an IP address, None for a name. An IPv4 address in IPv6 counts as IPv4."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped or address.sixtofour or address
    return address


def forbidden(address: Address) -> str | None:
    """Why the address is forbidden, None if it is allowed."""
    if address in _METADATA:
        return "a cloud metadata address"
    if address.is_loopback:
        return "a loopback address"
    if address.is_link_local:
        return "a link-local address"
    if address.is_unspecified or address.is_multicast:
        return "not the address of a host"
    return None
