"""krb5.conf, parsed to an allow-list.

A krb5.conf can make libkrb5's parser include files and load modules, so one from a ConfigMap is never passed to it.
This module reads the relations (`krb5_syntax`), keeps the few settings that users may choose, refuses what loads or
runs something, and ignores the rest, with a finding if somebody may rely on it. `krb5_render` writes a new file from
the result.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from smbferry_agent.errors import AgentError
from smbferry_agent.kerberos.addresses import AddressRule, forbidden, parse_address
from smbferry_agent.kerberos.krb5_syntax import Line, read, show
from smbferry_api.reasons import KRB5_CONFIG_REFUSED, SPEC_INVALID

KDC_PORT: Final = 88
_MAX_PORT: Final = 65535
_REALM: Final = re.compile(r"[A-Za-z0-9_][-A-Za-z0-9_.]{0,254}")
_HOST: Final = re.compile(r"[A-Za-z0-9_]([-A-Za-z0-9_.]{0,251}[A-Za-z0-9_.])?")
_DURATION: Final = re.compile(r"[0-9]{1,9}|([0-9]{1,6}[dhms] ?){1,4}|[0-9]{1,4}:[0-9]{2}(:[0-9]{2})?")
_TRUE: Final = frozenset({"y", "yes", "true", "t", "1", "on"})
_FALSE: Final = frozenset({"n", "no", "false", "nil", "0", "off"})

# Sections that hosts commonly have and that are irrelevant here: ignored.
_IGNORED_SECTIONS: Final = frozenset(
    {"appdefaults", "logging", "login", "kdc", "kdcdefaults", "kadmin", "realmsdefaults"}
)
# Sections of KDC hosts and of other programs: ignored, with a finding.
_FOREIGN_SECTIONS: Final = frozenset({"dbmodules", "dbdefaults", "pam"})
_READ_SECTIONS: Final = frozenset({"libdefaults", "realms", "domain_realm", "capaths"})
_WEAKENING: Final = frozenset({"allow_weak_crypto", "allow_rc4", "allow_des3"})
_LOADING: Final = re.compile(r"(^|_)(module|modules|plugin|plugins)(_|$)|_exec$|_program$")
_CERTIFICATES: Final = re.compile(r"pkinit_identit(y|ies)")
_PROXY: Final = "https://"


@dataclass(frozen=True, slots=True)
class KdcTarget:
    """A `kdc =` line's host (a name or an IP address) and port."""

    host: str
    port: int = KDC_PORT


@dataclass(frozen=True, slots=True)
class Krb5Config:
    """The used settings of a krb5.conf.

    Attributes:
        findings: ignored lines that somebody may rely on, each with its line number.
        proxied: realms with a KDC proxy (MS-KKDCP) in their kdc lines; `realms` does not contain the proxy.
    """

    default_realm: str | None = None
    dns_lookup_kdc: bool = True
    ticket_lifetime: str | None = None
    renew_lifetime: str | None = None
    realms: dict[str, tuple[KdcTarget, ...]] = field(default_factory=dict)
    domain_realm: dict[str, str] = field(default_factory=dict)
    capaths: dict[str, dict[str, tuple[str, ...]]] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    proxied: frozenset[str] = frozenset()

    def needs_proxy(self, realm: str) -> bool:
        """Whether the file names only KDC proxies for the realm."""
        return realm in self.proxied and not self.realms.get(realm)

    def realm_of(self, host: str) -> str | None:
        """The realm of a host in [domain_realm]: by its name, else by the nearest domain, as in libkrb5."""
        name = host.lower().rstrip(".")
        while name:
            if name in self.domain_realm:
                return self.domain_realm[name]
            name = name[1:] if name.startswith(".") else name[dot:] if (dot := name.find(".")) >= 0 else ""
        return None


def parse(text: str, address_rule: AddressRule = forbidden) -> Krb5Config:
    """Parses the allowed part of a krb5.conf.

    Raises:
        AgentError: Krb5ConfigInvalid with an unreadable line, Krb5ConfigRefused with a line that loads or
            runs something, or that names a forbidden address.
    """
    builder = _Builder(address_rule)
    return builder.build(read(text, builder.tell))


def check_realm(principal: str) -> None:
    """Refuses a principal whose realm cannot be written to a krb5.conf unchanged.

    Raises:
        AgentError: SpecInvalid.
    """
    realm = principal.rpartition("@")[2]
    if not _REALM.fullmatch(realm):
        raise AgentError(SPEC_INVALID, f"spec.principal: expected a realm such as CORP.EXAMPLE.COM, got {show(realm)}.")


def may_be_mapped(host: str, realm: str) -> bool:
    """Whether these names can be written to [domain_realm] without any other effect."""
    return bool(_HOST.fullmatch(host) and _REALM.fullmatch(realm))


class _Builder:
    """Processes relations in order, each by the method of its section."""

    def __init__(self, address_rule: AddressRule) -> None:
        self._address_rule = address_rule
        self._findings: dict[str, None] = {}
        self._proxied: set[str] = set()
        self._default_realm: str | None = None
        self._dns_lookup_kdc = True
        self._lifetimes: dict[str, str] = {}
        self._realms: dict[str, list[KdcTarget]] = {}
        self._domain_realm: dict[str, str] = {}
        self._capaths: dict[str, dict[str, list[str]]] = {}
        self._ignored: list[str] = []

    def tell(self, finding: str) -> None:
        """Adds a finding, once."""
        self._findings[finding] = None

    def build(self, lines: Iterable[Line]) -> Krb5Config:
        take = {
            "libdefaults": self._take_libdefault,
            "realms": self._take_realm,
            "domain_realm": self._take_domain,
            "capaths": self._take_capath,
        }
        for line in lines:
            _refuse_dangerous(line)
            if finding := _left_out(line):
                self.tell(finding)
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
            findings=tuple(self._findings),
            proxied=frozenset(self._proxied),
        )

    def _take_libdefault(self, line: Line) -> None:
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

    def _take_realm(self, line: Line) -> None:
        if len(line.path) == 1:
            raise line.invalid("a realm's block in { }")
        kdcs = self._realms.setdefault(_realm(line, line.path[1]), [])
        if line.key == "kdc" and line.value.lower().startswith(_PROXY):
            self._proxied.add(line.path[1])
        elif line.key == "kdc" and len(line.path) == 2:  # noqa: PLR2004 (section and realm)
            kdcs.append(_kdc(line, self._address_rule))
        elif line.key:
            self._ignored.append(line.key)

    def _take_domain(self, line: Line) -> None:
        if len(line.path) > 1 or not _HOST.fullmatch(line.key.removeprefix(".")):
            raise line.invalid("domain = REALM, with a host name or a domain that begins with a dot")
        self._domain_realm.setdefault(line.key.lower(), _realm(line, line.value))

    def _take_capath(self, line: Line) -> None:
        if len(line.path) != 2:  # noqa: PLR2004 (section and client realm)
            raise line.invalid("a block per client realm with server realm = intermediate realm")
        if line.key:
            servers = self._capaths.setdefault(_realm(line, line.path[1]), {})
            # "." says that there is no intermediate realm.
            via = "." if line.value == "." else _realm(line, line.value)
            servers.setdefault(_realm(line, line.key), []).append(via)


def _left_out(line: Line) -> str | None:
    """The finding about a line that MIT's library would use and that is ignored here, None if there is none."""
    opens_section = not line.key and len(line.path) == 1
    if line.path[0] in _FOREIGN_SECTIONS:
        return f"line {line.number}: the section [{line.path[0]}] is not read" if opens_section else None
    if line.key in _WEAKENING and _boolean(line):
        return f"line {line.number}: {line.key} is ignored: RC4, DES and triple DES are never used"
    if _CERTIFICATES.fullmatch(line.key):
        return f"line {line.number}: {line.key} is ignored: keys come only from the keytab"
    if line.key == "kdc" and line.value.lower().startswith(_PROXY):
        return f"line {line.number}: the KDC proxy {show(line.value)} is ignored: KDCs are contacted only over TCP"
    return None


def _refuse_dangerous(line: Line) -> None:
    section = line.path[0]
    if section not in _READ_SECTIONS | _IGNORED_SECTIONS | _FOREIGN_SECTIONS:
        raise AgentError(
            KRB5_CONFIG_REFUSED,
            f"krb5.conf line {line.number}: the section [{show(section)}] is refused; "
            "only libdefaults, realms, domain_realm and capaths are read.",
        )
    if any(_LOADING.search(name) for name in (*line.path[1:], line.key)):
        raise line.refused("it loads or runs something")


def _realm(line: Line, name: str) -> str:
    if not _REALM.fullmatch(name):
        raise line.invalid("a realm such as CORP.EXAMPLE.COM")
    return name


def _boolean(line: Line) -> bool:
    value = line.value.lower()
    if value not in _TRUE | _FALSE:
        raise line.invalid("true or false")
    return value in _TRUE


def _kdc(line: Line, address_rule: AddressRule) -> KdcTarget:
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
        raise line.refused(f"{show(line.value)} is {why}")
    if port_text and not (port_text.isascii() and port_text.isdecimal() and 0 < int(port_text) <= _MAX_PORT):
        raise line.invalid("a port from 1 to 65535")
    return KdcTarget(str(address) if address else text, int(port_text or KDC_PORT))
