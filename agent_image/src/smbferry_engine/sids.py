"""SIDs (MS-DTYP 2.4.2) as text and bytes, and the map from old ones to new ones. Pure.

A rule replaces one SID, or all SIDs of a domain (S-1-5-21-a-b-c): their last number, the RID, stays. A map that would
change its own result is refused, so that what was copied compares as equal in the next run.
"""

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Self

SUB_AUTHORITY: Final = 4
MAX_SUB_AUTHORITIES: Final = 15
SID_FIXED: Final = struct.Struct("<BB6s")
REVISION: Final = 1
_AUTHORITIES: Final = 1 << 48
_NUMBERS: Final = 1 << 32
_SID = re.compile(r"S-1-(\d{1,15}|0x[0-9a-f]{1,12})((?:-\d{1,10}){1,15})", re.IGNORECASE | re.ASCII)
_LOOKS_LIKE_ONE = re.compile(r"S-[-0-9a-z]{0,190}", re.IGNORECASE | re.ASCII)
_NT_AUTHORITY = (5).to_bytes(6, "big")
_NOT_UNIQUE: Final = 21
_DOMAIN_NUMBERS: Final = 4
_DOMAIN_BYTES: Final = SID_FIXED.size + _DOMAIN_NUMBERS * SUB_AUTHORITY
_DOMAIN_HEAD: Final = SID_FIXED.pack(REVISION, _DOMAIN_NUMBERS, _NT_AUTHORITY) + struct.pack("<I", _NOT_UNIQUE)
# S-1-5-88 and S-1-22, followed by the number of the kind, and that of the account.
_LOCAL: Final = (
    SID_FIXED.pack(REVISION, 1, _NT_AUTHORITY) + struct.pack("<I", 88),
    SID_FIXED.pack(REVISION, 0, (22).to_bytes(6, "big")),
)
_WORDS_OF_A_RULE: Final = 2


def sid_bytes(text: str) -> bytes:
    """Parse a SID such as S-1-5-32-544; raises ValueError if it is none."""
    match = _SID.fullmatch(text)
    if match is None:
        raise ValueError(f"expected a SID such as S-1-5-21-1-2-3-500, got {_quoted(text)}")
    authority = int(match[1], 0) if match[1][:2] in ("0x", "0X") else int(match[1])
    numbers = [int(number) for number in match[2][1:].split("-")]
    if authority >= _AUTHORITIES or max(numbers) >= _NUMBERS:
        raise ValueError(f"expected a SID with numbers below 2^32, got {_quoted(text)}")
    fixed = SID_FIXED.pack(REVISION, len(numbers), authority.to_bytes(6, "big"))
    return fixed + struct.pack(f"<{len(numbers)}I", *numbers)


def sid_text(raw: bytes) -> str:
    """Return a raw SID, whose length fits its count, as text."""
    revision, count, authority = SID_FIXED.unpack_from(raw)
    numbers = struct.unpack_from(f"<{count}I", raw, SID_FIXED.size)
    return "-".join(["S", str(revision), str(int.from_bytes(authority, "big")), *map(str, numbers)])


def domain_of(sid: bytes) -> bytes | None:
    """Return the domain S-1-5-21-a-b-c of an account's or a domain's raw SID; None for any other SID."""
    if len(sid) - _DOMAIN_BYTES not in (0, SUB_AUTHORITY) or sid[2:12] != _DOMAIN_HEAD[2:]:
        return None
    return _DOMAIN_HEAD[:2] + sid[2:_DOMAIN_BYTES]


class SidRule(NamedTuple):
    """Raw SIDs, or domains: what is replaced, and by what."""

    old: bytes
    new: bytes


@dataclass(frozen=True, slots=True)
class SidMap:
    """Rules, and raw SIDs and domains that are ``kept``: they stay, whatever the rules say, and are known."""

    rules: tuple[SidRule, ...] = ()
    kept: frozenset[bytes] = frozenset()
    _by_old: Mapping[bytes, int] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a map: one rule on each line, OLD NEW, or a SID alone, which is kept; ``#`` begins a comment.

        Raises:
            ValueError: a line is invalid, two lines are about one SID, or the result of a rule would be mapped again.
        """
        rules: list[SidRule] = []
        kept: list[bytes] = []
        lines: dict[bytes, int] = {}
        for number, words in _lines(text):
            sids = [_on_line(number, word) for word in words]
            if len(sids) > _WORDS_OF_A_RULE:
                raise ValueError(f"line {number}: expected OLD NEW, or one SID to keep, got {len(sids)} words")
            if sids[0] in lines:
                raise ValueError(
                    f"line {number}: expected one line for each SID, got a second one for {sid_text(sids[0])} after "
                    f"line {lines[sids[0]]}"
                )
            lines[sids[0]] = number
            if len(sids) == 1:
                kept += sids
            else:
                rules.append(_rule(number, *sids))
        found = cls(tuple(rules), frozenset(kept), {rule.old: index for index, rule in enumerate(rules)})
        found._check(lines)
        return found

    def rule_for(self, sid: bytes) -> int | None:
        """Return the index of the rule that replaces a raw SID, None if it stays. A rule for the SID itself precedes
        that for its domain.
        """
        by_old = self._by_old
        if sid in by_old:
            return by_old[sid]
        domain = domain_of(sid)
        if domain is None or sid in self.kept:
            return None
        return by_old.get(domain)

    def replaced(self, sid: bytes, rule: int) -> bytes:
        """Return a raw SID after the rule with this index."""
        old, new = self.rules[rule]
        if sid == old:
            return new
        return sid[:2] + new[2:] + sid[_DOMAIN_BYTES:]

    def _check(self, lines: Mapping[bytes, int]) -> None:
        """Raise ValueError if the result of a rule would be mapped again: applied twice, the map would change more."""
        domains_of_accounts = {domain_of(rule.old): rule.old for rule in self.rules if not _is_domain(rule.old)}
        for old, new in self.rules:
            again = self.rule_for(new)
            source = self.rules[again].old if again is not None else None
            if source is None and _is_domain(new):
                source = domains_of_accounts.get(new)
            if source is not None:
                raise ValueError(
                    f"line {lines[old]}: expected a new SID that no line replaces, got {sid_text(new)}, which line "
                    f"{lines[source]} replaces: map {sid_text(old)} to the final SID"
                )


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        words = line.partition("#")[0].split()
        if words:
            yield number, words


def _on_line(number: int, word: str) -> bytes:
    try:
        sid = sid_bytes(word)
    except ValueError as error:
        raise ValueError(f"line {number}: {error}") from None
    if sid[2:12] == _DOMAIN_HEAD[2:] and domain_of(sid) is None:
        raise ValueError(
            f"line {number}: expected a domain S-1-5-21-a-b-c, or an account S-1-5-21-a-b-c-RID, got {sid_text(sid)}"
        )
    return sid


def _rule(number: int, old: bytes, new: bytes) -> SidRule:
    if _is_domain(old) != _is_domain(new):
        raise ValueError(
            f"line {number}: expected two domains (S-1-5-21-a-b-c) or none, got {sid_text(old)} and {sid_text(new)}"
        )
    if old == new:
        raise ValueError(f"line {number}: expected two SIDs, got {sid_text(old)} twice; write it once to keep it")
    return SidRule(old, new)


def _is_domain(sid: bytes) -> bool:
    return len(sid) == _DOMAIN_BYTES and domain_of(sid) is not None


def _quoted(text: str) -> str:
    """Return a word for a message. What does not look like a SID may be anything, and is not shown."""
    return repr(text) if _LOOKS_LIKE_ONE.fullmatch(text) else f"{len(text)} other characters"


def local_accounts_of(sid: bytes) -> bytes | None:
    """Return the prefix of a raw SID that only means something on the server that made it up; None for any other SID.

    These are Unix users and groups of Samba (S-1-22-1, S-1-22-2) and of Windows' NFS server (S-1-5-88-1 to 4).
    """
    for head in _LOCAL:
        if sid[2 : len(head)] == head[2:] and len(sid) >= len(head) + SUB_AUTHORITY:
            return head[:1] + bytes([head[1] + 1]) + sid[2 : len(head) + SUB_AUTHORITY]
    return None
