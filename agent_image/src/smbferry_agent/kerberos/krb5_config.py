"""krb5.conf, parsed to an allow-list.

libkrb5's own parser can be made to include files and load modules, so a krb5.conf from a ConfigMap is never handed to
it. This module reads the syntax (krb5.conf(5)), keeps the few settings that smbferry lets a person decide, refuses
what includes, loads, runs or weakens, and leaves out the rest; `krb5_render` writes a fresh file from the result.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from smbferry_agent.errors import AgentError
from smbferry_agent.kerberos.addresses import AddressRule, forbidden, parse_address
from smbferry_api.reasons import KRB5_CONFIG_INVALID, KRB5_CONFIG_REFUSED, SPEC_INVALID

KDC_PORT: Final = 88
_MAX_PORT: Final = 65535
_REALM: Final = re.compile(r"[A-Za-z0-9_][-A-Za-z0-9_.]{0,254}")
_HOST: Final = re.compile(r"[A-Za-z0-9_]([-A-Za-z0-9_.]{0,251}[A-Za-z0-9_.])?")
_DURATION: Final = re.compile(r"[0-9]{1,9}|([0-9]{1,6}[dhms] ?){1,4}|[0-9]{1,4}:[0-9]{2}(:[0-9]{2})?")
_RELATION: Final = re.compile(r"([^\s=]+?)\*?\s*=\s*(.*)")
_SECTION: Final = re.compile(r"\[([^\]\[]+)\]\*?")
_TRUE: Final = frozenset({"y", "yes", "true", "t", "1", "on"})
_FALSE: Final = frozenset({"n", "no", "false", "nil", "0", "off"})

# Sections that hosts commonly have, that say nothing to a client of ours and are left out.
_IGNORED_SECTIONS: Final = frozenset(
    {"appdefaults", "logging", "login", "kdc", "kdcdefaults", "kadmin", "realmsdefaults"}
)
_READ_SECTIONS: Final = frozenset({"libdefaults", "realms", "domain_realm", "capaths"})
_WEAKENING: Final = frozenset({"allow_weak_crypto", "allow_rc4", "allow_des3"})
_LOADING: Final = re.compile(r"(^|_)(module|modules|plugin|plugins)(_|$)|^pkinit_identit(y|ies)$|_exec$|_program$")


@dataclass(frozen=True, slots=True)
class KdcTarget:
    """A `kdc =` line's host (a name or an IP address) and port."""

    host: str
    port: int = KDC_PORT


@dataclass(frozen=True, slots=True)
class Krb5Config:
    """What is kept of a krb5.conf."""

    default_realm: str | None = None
    dns_lookup_kdc: bool = True
    ticket_lifetime: str | None = None
    renew_lifetime: str | None = None
    realms: dict[str, tuple[KdcTarget, ...]] = field(default_factory=dict)
    domain_realm: dict[str, str] = field(default_factory=dict)
    capaths: dict[str, dict[str, tuple[str, ...]]] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()

    def realm_of(self, host: str) -> str | None:
        """The realm that [domain_realm] gives a host: by its name, else by the nearest domain, as libkrb5 looks."""
        name = host.lower().rstrip(".")
        while name:
            if name in self.domain_realm:
                return self.domain_realm[name]
            name = name[1:] if name.startswith(".") else name[dot:] if (dot := name.find(".")) >= 0 else ""
        return None


@dataclass(frozen=True, slots=True)
class _Line:
    """One relation, with the section and subsections that it stands in."""

    number: int
    path: tuple[str, ...]
    key: str
    value: str

    def invalid(self, expected: str) -> AgentError:
        return AgentError(
            KRB5_CONFIG_INVALID,
            f"krb5.conf line {self.number}: {_show(self.key)} expects {expected}; found {_show(self.value)}.",
        )

    def refused(self, why: str) -> AgentError:
        return AgentError(KRB5_CONFIG_REFUSED, f"krb5.conf line {self.number}: {_show(self.key)} is refused: {why}.")


def parse(text: str, address_rule: AddressRule = forbidden) -> Krb5Config:
    """The allowed part of a krb5.conf.

    Raises:
        AgentError: Krb5ConfigInvalid with the line that can't be read, Krb5ConfigRefused with the line that includes,
            loads, runs or weakens, or that names a forbidden address.
    """
    return _Builder(address_rule).build(_relations(text))


def check_realm(principal: str) -> None:
    """Refuses a principal whose realm could not be written into a krb5.conf as it stands.

    Raises:
        AgentError: SpecInvalid.
    """
    realm = principal.rpartition("@")[2]
    if not _REALM.fullmatch(realm):
        raise AgentError(
            SPEC_INVALID, f"spec.principal: a realm such as CORP.EXAMPLE.COM expected, found {_show(realm)}."
        )


def may_be_mapped(host: str, realm: str) -> bool:
    """Whether these are names that can stand in [domain_realm] and say no more there."""
    return bool(_HOST.fullmatch(host) and _REALM.fullmatch(realm))


class _Builder:
    """Takes relations in order; each goes to the method of its section."""

    def __init__(self, address_rule: AddressRule) -> None:
        self._address_rule = address_rule
        self._default_realm: str | None = None
        self._dns_lookup_kdc = True
        self._lifetimes: dict[str, str] = {}
        self._realms: dict[str, list[KdcTarget]] = {}
        self._domain_realm: dict[str, str] = {}
        self._capaths: dict[str, dict[str, list[str]]] = {}
        self._ignored: list[str] = []

    def build(self, lines: Iterator[_Line]) -> Krb5Config:
        take = {
            "libdefaults": self._take_libdefault,
            "realms": self._take_realm,
            "domain_realm": self._take_domain,
            "capaths": self._take_capath,
        }
        for line in lines:
            _refuse_dangerous(line)
            opens_section = not line.key and len(line.path) == 1
            if line.path[0] in take and not opens_section:
                take[line.path[0]](line)
        return Krb5Config(
            default_realm=self._default_realm,
            dns_lookup_kdc=self._dns_lookup_kdc,
            ticket_lifetime=self._lifetimes.get("ticket_lifetime"),
            renew_lifetime=self._lifetimes.get("renew_lifetime"),
            realms={realm: tuple(dict.fromkeys(kdcs)) for realm, kdcs in self._realms.items()},
            domain_realm=self._domain_realm,
            capaths={c: {s: tuple(via) for s, via in servers.items()} for c, servers in self._capaths.items()},
            ignored=tuple(self._ignored),
        )

    def _take_libdefault(self, line: _Line) -> None:
        # The first value of a key counts, as in libkrb5.
        if len(line.path) > 1:
            self._ignored.append(".".join(line.path[1:]))
        elif line.key == "default_realm":
            self._default_realm = self._default_realm or _realm(line, line.value)
        elif line.key == "dns_lookup_kdc":
            self._dns_lookup_kdc = _boolean(line)
        elif line.key in {"ticket_lifetime", "renew_lifetime"}:
            if not _DURATION.fullmatch(line.value):
                raise line.invalid("a duration such as 10h, 7d or 36000")
            self._lifetimes.setdefault(line.key, line.value)
        else:
            self._ignored.append(line.key)

    def _take_realm(self, line: _Line) -> None:
        if len(line.path) == 1:
            raise line.invalid("a realm's block in { }")
        kdcs = self._realms.setdefault(_realm(line, line.path[1]), [])
        if line.key == "kdc" and len(line.path) == 2:  # noqa: PLR2004 (section and realm)
            kdcs.append(_kdc(line, self._address_rule))
        elif line.key:
            self._ignored.append(line.key)

    def _take_domain(self, line: _Line) -> None:
        if len(line.path) > 1 or not _HOST.fullmatch(line.key.removeprefix(".")):
            raise line.invalid("domain = REALM, with a host name or a domain that begins with a dot")
        self._domain_realm.setdefault(line.key.lower(), _realm(line, line.value))

    def _take_capath(self, line: _Line) -> None:
        if len(line.path) != 2:  # noqa: PLR2004 (section and client realm)
            raise line.invalid("a block per client realm with server realm = intermediate realm")
        if line.key:
            servers = self._capaths.setdefault(_realm(line, line.path[1]), {})
            # "." says that there is no intermediate realm.
            via = "." if line.value == "." else _realm(line, line.value)
            servers.setdefault(_realm(line, line.key), []).append(via)


def _refuse_dangerous(line: _Line) -> None:
    section = line.path[0]
    if section not in _READ_SECTIONS | _IGNORED_SECTIONS:
        raise AgentError(
            KRB5_CONFIG_REFUSED,
            f"krb5.conf line {line.number}: the section [{_show(section)}] is refused; "
            "only libdefaults, realms, domain_realm and capaths are read.",
        )
    if any(_LOADING.search(name) for name in (*line.path[1:], line.key)):
        raise line.refused("it loads or runs something")
    if line.key in _WEAKENING and _boolean(line):
        raise line.refused("RC4, DES and triple DES are never used")


def _realm(line: _Line, name: str) -> str:
    if not _REALM.fullmatch(name):
        raise line.invalid("a realm such as CORP.EXAMPLE.COM")
    return name


def _boolean(line: _Line) -> bool:
    value = line.value.lower()
    if value not in _TRUE | _FALSE:
        raise line.invalid("true or false")
    return value in _TRUE


def _kdc(line: _Line, address_rule: AddressRule) -> KdcTarget:
    """`host`, `host:port`, `address`, `[v6]:port`."""
    text, port_text = line.value, ""
    if match := re.fullmatch(r"\[([^\]]+)\](?::(\d{1,5}))?", text):
        text, port_text = match[1], match[2] or ""
    elif text.count(":") == 1:
        text, port_text = text.split(":")
    address = parse_address(text)
    if address is None and not _HOST.fullmatch(text):
        raise line.invalid("a host name or address, and perhaps a port: dc1.corp.example.com:88")
    if address is not None and (why := address_rule(address)):
        raise line.refused(f"{_show(line.value)} is {why}")
    if port_text and not (port_text.isascii() and port_text.isdecimal() and 0 < int(port_text) <= _MAX_PORT):
        raise line.invalid("a port from 1 to 65535")
    return KdcTarget(str(address) if address else text, int(port_text or KDC_PORT))


def _relations(text: str) -> Iterator[_Line]:
    """The file's relations. An empty key stands for a block, so that an empty one is seen too."""
    path: list[str] = []
    for number, raw in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        stripped = raw.strip()
        if not stripped or stripped[0] in "#;":
            continue
        if re.match(r"(include|includedir|module)\s", stripped):
            word = stripped.split(maxsplit=1)[0]
            raise AgentError(
                KRB5_CONFIG_REFUSED, f"krb5.conf line {number}: {word!r} is refused: it loads another file."
            )
        if match := _SECTION.fullmatch(stripped):
            path = [match[1].strip()]
            yield _Line(number, tuple(path), "", "")
        elif re.fullmatch(r"\}\*?", stripped) and len(path) > 1:
            path.pop()
        elif path and (match := _RELATION.fullmatch(stripped)):
            key, value = match[1], match[2].strip()
            if value == "{":
                path.append(key)
                yield _Line(number, tuple(path), "", "")
            else:
                yield _Line(number, tuple(path), key, _unquote(value))
        else:
            raise AgentError(
                KRB5_CONFIG_INVALID,
                f"krb5.conf line {number}: expected [section], name = value, name = {{ or }}; found {_show(stripped)}.",
            )
    if len(path) > 1:
        raise AgentError(KRB5_CONFIG_INVALID, f"krb5.conf: the block {_show(path[-1])} is not closed by }}.")


def _unquote(value: str) -> str:
    quoted = value.startswith('"') and value.endswith('"') and len(value) > 1
    return value[1:-1] if quoted else value


def _show(text: str) -> str:
    """Foreign text for a message: short, on one line."""
    return repr(text[:80])
