"""The NetworkPolicy of an agent: ports that it may connect to. DNS and the realm determine the addresses."""

import ipaddress
from collections.abc import Iterable

from smbferry_api.names import LABEL_OWNER_UID
from smbferry_operator.decide.manifests.access import access_name
from smbferry_operator.decide.naming import agent_metadata
from smbferry_operator.decide.settings import AgentSettings
from smbferry_operator.model import Kind, Manifest, Meta


def build_network_policy(
    kind: Kind,
    owner: Meta,
    settings: AgentSettings,
    *,
    nameservers: Iterable[str],
    smb_ports: Iterable[int] = (),
) -> tuple[Manifest, ...]:
    """The policy of the owner's agents; empty if the installation wants none.

    Nothing may connect to an agent. It may connect to DNS, KDCs, file servers and the API server.

    Args:
        nameservers: addresses; without any, DNS is allowed at every address.
        smb_ports: ports of the file servers.
    """
    rules = settings.network
    if rules is None:
        return ()
    egress = [_dns(rules.dns_ports, tuple(nameservers)), _tcp(rules.kdc_ports), _tcp(rules.api_server_ports)]
    if ports := sorted(set(smb_ports)):
        egress.append(_tcp(ports))
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": agent_metadata(kind, owner, access_name(kind, owner)),
        "spec": {
            "podSelector": {"matchLabels": {LABEL_OWNER_UID: owner.uid}},
            "policyTypes": ["Ingress", "Egress"],
            "egress": egress,
        },
    }
    return (policy,)


def _tcp(ports: Iterable[int]) -> Manifest:
    return {"ports": [{"protocol": "TCP", "port": port} for port in ports]}


def _dns(ports: Iterable[int], nameservers: tuple[str, ...]) -> Manifest:
    both = [{"protocol": protocol, "port": port} for port in ports for protocol in ("UDP", "TCP")]
    if not nameservers:
        return {"ports": both}
    return {"to": [{"ipBlock": {"cidr": str(ipaddress.ip_network(address))}} for address in nameservers], "ports": both}
