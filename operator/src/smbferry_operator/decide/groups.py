"""Which checks may share a pod: those with the same settings and the same nameservers. Pure (ADR 46)."""

from smbferry_operator.decide.manifests.pods import check_settings, union_of_nameservers
from smbferry_operator.decide.naming import short_hash
from smbferry_operator.decide.settings import AgentSettings
from smbferry_operator.decide.wanted import OWN_GROUP, Group
from smbferry_operator.model import Identity, Location


def group_of(location: Location, identity: Identity, settings: AgentSettings) -> Group:
    """The group of a location: the identity's own if its check needs nothing that the identity's does not have.

    Nameservers are those of both. An object without any asks those of the pod, so a pod with others would not do.
    """
    own, agent = identity.spec.nameservers, location.spec.agent
    nameservers = union_of_nameservers(location.spec.nameservers, own)
    same_names = set(nameservers) == set(own)
    if same_names and agent is None:
        return Group(OWN_GROUP, own)
    placed = check_settings(settings, identity.spec.agent, agent)
    if same_names and placed == check_settings(settings, identity.spec.agent):
        return Group(OWN_GROUP, own)
    return Group(short_hash(placed.model_dump_json(by_alias=True), *sorted(nameservers)), nameservers, agent)
