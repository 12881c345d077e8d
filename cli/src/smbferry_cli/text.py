"""Text from files, servers and KDCs, made fit for a terminal: nothing in it may move the cursor or turn text around."""

import unicodedata
from typing import Final

# Format characters that change the order in which a line is read; others (joiners in emoji) do no harm.
_TURNING: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_UNPRINTABLE: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
_BYTE: Final = 0xFF
_BMP: Final = 0xFFFF


def safe(text: str) -> str:
    r"""The text with control characters, lone surrogates and bidirectional overrides as escapes: \x1b, \u202e."""
    return "".join(_escape(c) if c in _TURNING or unicodedata.category(c) in _UNPRINTABLE else c for c in text)


def _escape(character: str) -> str:
    number = ord(character)
    if number <= _BYTE:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number <= _BMP else f"\\U{number:08x}"
