"""What the engine found of SIDs, in the form of the status. Pure."""

from collections import Counter
from collections.abc import Iterable

from smbferry_api.sid_status import MAX_LISTED_SIDS, AppliedSidRule, SidStatus, UnmappedSid
from smbferry_engine import SidFacts


def sid_status(
    facts: SidFacts,
    before: Iterable[SidStatus] = (),
    *,
    most: int = MAX_LISTED_SIDS,
) -> SidStatus | None:
    """The most frequent rules and unmapped SIDs, with those of other agents; None if there are none.

    Args:
        before: what the other agents of the run have found.
        most: how many of each to list.
    """
    applied = Counter({(one.old, one.new): one.descriptors for one in facts.rules})
    unmapped = Counter({one.old: one.descriptors for one in facts.unmapped})
    for other in before:
        applied.update({(rule.from_, rule.to): rule.descriptors for rule in other.applied})
        unmapped.update({one.sid: one.descriptors for one in other.unmapped})
    found: dict[str, object] = {}
    if applied:
        found["applied"] = tuple(
            AppliedSidRule(from_=old, to=new, descriptors=count) for (old, new), count in applied.most_common(most)
        )
    if unmapped:
        found["unmapped"] = tuple(UnmappedSid(sid=sid, descriptors=count) for sid, count in unmapped.most_common(most))
    return SidStatus.model_validate(found) if found else None
