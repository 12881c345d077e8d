"""Counts what a run finds in the source's security descriptors: SIDs that the map replaces, and SIDs that may mean
nothing at the destination.

Whether a SID resolves there is decided without asking: its domain must be that of the destination's account, or the map
must name it. The account's domain is known as soon as the run has created something; what was found before waits.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from smbferry_engine.model import SidCount, SidFacts
from smbferry_engine.share.packed import PackedRows
from smbferry_engine.share.sid_translation import Translated
from smbferry_engine.sids import SidMap, domain_of, sid_text
from smbferry_words.run import NotCarriedKind

# Of the files that were read last: a file that is read again after a failure counts once.
_RECENT: Final = 4_096
_MAX_OTHERS: Final = 1_000
_BLOCK: Final = 4_000
_UNRESOLVED = (
    "{}: the domain is neither that of the destination's account nor in the SID map; add a rule for it, or its SID "
    "alone if the destination resolves it"
)
_LOCAL = "{}: accounts of this kind are local to the source's server; map each SID"

NotCarriedSink = Callable[[str, NotCarriedKind, str], None]


@dataclass(slots=True)
class SidTally:
    """The SIDs of one run. ``domain`` returns the raw domain of the destination's account, None if it is not known.

    ``counting`` is False while descriptors are read that were read before.
    """

    domain: Callable[[], bytes | None] = lambda: None
    counting: bool = True
    _rules: Counter[int] = field(default_factory=Counter)
    _others: Counter[bytes] = field(default_factory=Counter)
    _recent: dict[str, None] = field(default_factory=dict)
    _waiting: PackedRows = field(default_factory=lambda: PackedRows(_BLOCK))

    def found(self, path: str, translated: Translated, not_carried: NotCarriedSink) -> None:
        """Count what the descriptor of ``path`` has; report SIDs that the destination does not resolve."""
        if not self.counting or not (translated.rules or translated.others) or path in self._recent:
            return
        if len(self._recent) >= _RECENT:
            self._recent.clear()
        self._recent[path] = None
        self._rules.update(translated.rules)
        for other in translated.others:
            if other in self._others or len(self._others) < _MAX_OTHERS:
                self._others[other] += 1
            self._report(path, other, not_carried)

    def _report(self, path: str, other: bytes, not_carried: NotCarriedSink) -> None:
        if domain_of(other) is None:
            not_carried(path, NotCarriedKind.LOCAL_SID, _LOCAL.format(sid_text(other)))
            return
        domain = self.domain()
        if domain is None:
            self._waiting.add((path, other.hex()))
        elif domain != other:
            not_carried(path, NotCarriedKind.UNRESOLVED_SID, _UNRESOLVED.format(sid_text(other)))

    def settle(self, not_carried: NotCarriedSink) -> None:
        """Report what has waited for the domain of the destination's account, if that is known by now."""
        if self.domain() is None:
            return
        waiting, self._waiting = self._waiting, PackedRows(_BLOCK)
        for path, other in waiting:
            self._report(path, bytes.fromhex(other), not_carried)

    def facts(self, sid_map: SidMap) -> SidFacts:
        """Return the counts, the largest first."""
        rules = [
            SidCount(sid_text(sid_map.rules[index].old), sid_text(sid_map.rules[index].new), count)
            for index, count in self._rules.most_common()
        ]
        domain = self.domain()
        others = [SidCount(sid_text(sid), "", count) for sid, count in self._others.most_common() if sid != domain]
        return SidFacts(tuple(rules), tuple(others))
