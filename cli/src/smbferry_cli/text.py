"""Makes text from files, servers and KDCs safe for a terminal."""

import unicodedata
from typing import Final

# Format characters that change the direction of text; others (joiners in emoji) are harmless.
_TURNING: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_UNPRINTABLE: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
_BYTE: Final = 0xFF
_BMP: Final = 0xFFFF


def safe(text: str) -> str:
    r"""Escapes control characters, lone surrogates and bidirectional overrides: \x1b, \u202e."""
    return "".join(_escape(c) if c in _TURNING or unicodedata.category(c) in _UNPRINTABLE else c for c in text)


def _escape(character: str) -> str:
    number = ord(character)
    if number <= _BYTE:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number <= _BMP else f"\\U{number:08x}"
