"""Encryption types by number and name (IANA Kerberos parameters; RFC 3962, RFC 8009)."""

from collections.abc import Iterable
from typing import Final

from smbferry_api.identity import Enctype

NUMBER: Final[dict[Enctype, int]] = {
    Enctype.AES256_SHA1: 18,
    Enctype.AES128_SHA1: 17,
    Enctype.AES256_SHA384: 20,
    Enctype.AES128_SHA256: 19,
}

_NAME: Final[dict[int, str]] = {
    1: "des-cbc-crc",
    2: "des-cbc-md4",
    3: "des-cbc-md5",
    16: "des3-cbc-sha1",
    23: "arcfour-hmac",
    24: "arcfour-hmac-exp",
    25: "camellia128-cts-cmac",
    26: "camellia256-cts-cmac",
} | {number: enctype.value for enctype, number in NUMBER.items()}


def name_of(number: int) -> str:
    """The encryption type's usual name, or its number if it is not known here."""
    return _NAME.get(number, f"etype {number}")


def names_of(numbers: Iterable[int]) -> str:
    """Several names for a message: 'a, b', or 'none'."""
    return ", ".join(name_of(n) for n in numbers) or "none"


def numbers_of(permitted: Iterable[Enctype]) -> tuple[int, ...]:
    """The numbers of the permitted encryption types, in their order."""
    return tuple(NUMBER[e] for e in permitted)
