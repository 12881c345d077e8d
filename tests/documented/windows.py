"""What docs tell an administrator of Windows to type. It can't be run here: its syntax is checked against what each
program takes (learn.microsoft.com), and beside each stands the equivalent on a Samba domain controller, which is run.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

# Quoted text, hashes and blocks, grouping, separators, and words with the quotes and variables in them.
_TOKEN = re.compile(r"""@\{|[{}();|]|,|(?:[^\s"'{}();|,]|"[^"]*"|'[^']*')+""")
_PAIRS = {")": "(", "}": "{"}
_COMMON = frozenset({"Force", "Verbose", "Server", "Properties", "Filter", "Path", "Name"})


class WindowsSyntaxError(Exception):
    """A command that no Windows would take, or that nobody has described here."""


@dataclass(frozen=True)
class Program:
    """A cmdlet's parameters or a program's switches (without - and /), and what does the same on Samba."""

    takes: frozenset[str]
    instead: str


def _p(takes: str, instead: str) -> Program:
    return Program(frozenset(takes.split()), instead)


_SHARE = "testparm -s --section-name=src"
_SERVER = "testparm -s -v --parameter-name='server smb3 encryption algorithms'"
_FILE = "stat --format='%n %F %y' /srv/src"
_ACL = "samba-tool ntacl get /srv/src --as-sddl"
_LOG = "smbcontrol smbd debuglevel"
_DISK = "df --output=target,avail /srv/src"
_TRUST = "samba-tool domain trust list && samba-tool domain info 127.0.0.1"
_ROOT = "ldbsearch -H /var/lib/samba/private/sam.ldb -s base -b ''"
_CLOCK = f"{_ROOT} currentTime"
_DNS = "dig +short dc1.corp.example.com @127.0.0.1"
_SPN = "samba-tool spn list 'DC1$'"
_SERVICE = "pgrep --count smbd"
_LINK = "find /srv/dfs -type l -printf '%f %l\\n'"
_POLICY = "samba-tool domain passwordsettings show"
_USER = "samba-tool user show svc-src"
_NO_EXPIRY = "samba-tool user setexpiry svc-src --noexpiry"
_PASSWORD = "samba-tool user setpassword svc-src --random-password"

PROGRAMS: dict[str, Program] = {
    # Active Directory
    "New-ADUser": _p(
        "AccountPassword Enabled KerberosEncryptionType",
        "samba-tool user create svc-new --random-password && samba-tool user delete svc-new",
    ),
    "Get-ADUser": _p("", _USER),
    "Set-ADUser": _p("Clear KerberosEncryptionType PasswordNeverExpires UserPrincipalName", _NO_EXPIRY),
    "Set-ADAccountControl": _p(
        "CannotChangePassword", "samba-tool user show svc-src --attributes=userAccountControl"
    ),
    "Set-ADAccountPassword": _p("Reset", _PASSWORD),
    "Enable-ADAccount": _p("", "samba-tool user enable svc-src"),
    "Unlock-ADAccount": _p("", f"samba-tool user unlock svc-src && {_USER} --attributes=lockoutTime"),
    "Clear-ADAccountExpiration": _p("", _NO_EXPIRY),
    "Get-ADDomain": _p("", "samba-tool domain info 127.0.0.1"),
    "Get-ADTrust": _p("", _TRUST),
    "Get-ADDefaultDomainPasswordPolicy": _p("", _POLICY),
    "Read-Host": _p("AsSecureString", _PASSWORD),
    "ktpass": _p(
        "princ mapuser crypto ptype pass rndpass out",
        "samba-tool domain exportkeytab svc-src.keytab --principal=svc-src && rm svc-src.keytab",
    ),
    "setspn": _p("Q F X D S L", _SPN),
    "nltest": _p("domain_trusts all_trusts dsregdns", _TRUST),
    "netdom": _p("add", _SPN),
    "gpresult": _p("h", _POLICY),
    "repadmin": _p("showrepl syncall AdeP", f"{_ROOT} highestCommittedUSN"),
    "dcdiag": _p("s", "samba-tool dbcheck"),
    "w32tm": _p(
        "query status stripchart computer samples dataonly config manualpeerlist syncfromflags update resync", _CLOCK
    ),
    "whoami": _p("priv", "samba-tool user getgroups svc-src"),
    "Test-ComputerSecureChannel": _p("Repair", "wbinfo --check-secret"),
    "Reset-ComputerMachinePassword": _p("", "wbinfo --check-secret"),
    # Names and network
    "nslookup": _p("type", _DNS),
    "Resolve-DnsName": _p("", _DNS),
    "Remove-DnsServerResourceRecord": _p("", _DNS),
    "Get-NetIPAddress": _p("", "hostname -I"),
    "Get-NetFirewallRule": _p("DisplayGroup", _DNS),
    "Test-NetConnection": _p("Port", "smbclient --use-kerberos=required --version"),
    # The file server
    "Get-SmbShare": _p("", _SHARE),
    "Set-SmbShare": _p("EncryptData", _SHARE),
    "Get-SmbShareAccess": _p("", _SHARE),
    "Grant-SmbShareAccess": _p("AccountName AccessRight", _SHARE),
    "Unblock-SmbShareAccess": _p("", _SHARE),
    "Get-SmbServerConfiguration": _p("", _SERVER),
    "Set-SmbServerConfiguration": _p("EncryptionCiphers", _SERVER),
    "Get-SmbSession": _p("", "smbstatus --processes"),
    "Get-SmbOpenFile": _p("", "smbstatus --locks"),
    "Close-SmbOpenFile": _p("", "smbstatus --locks"),
    "Get-Service": _p("", _SERVICE),
    "Start-Service": _p("", _SERVICE),
    "Get-WinEvent": _p("LogName MaxEvents FilterHashtable", _LOG),
    "Get-DfsnFolderTarget": _p("", _LINK),
    "dfsutil": _p("pktinfo", _LINK),
    # Files and disks
    "Get-Acl": _p("", _ACL),
    "Get-Item": _p("Stream", _FILE),
    "Get-ChildItem": _p("Directory Recurse Attributes", _FILE),
    "Test-Path": _p("", "test -d /srv/src && echo True"),
    "fsutil": _p("", _FILE),
    "Get-FileHash": _p("", "sha256sum /etc/samba/smb.conf"),
    "Get-Counter": _p("", _DISK),
    "Get-FsrmQuota": _p("", _DISK),
    "Get-Volume": _p("", _DISK),
    "Get-PhysicalDisk": _p("", _DISK),
    "chkdsk": _p("scan", _DISK),
    "vssadmin": _p("", "testparm -s -v --parameter-name='vfs objects'"),
    "certutil": _p(
        "error", "python3 -c 'from samba import ntstatus; print(hex(ntstatus.NT_STATUS_SHARING_VIOLATION))'"
    ),
}  # fmt: skip
# What only shapes what another one gave.
_FILTERS = {
    "Select-Object": frozenset[str](),
    "Format-List": frozenset[str](),
    "Format-Table": frozenset[str](),
    "Where-Object": frozenset({"like", "eq"}),
}
TAKES = {**{name: program.takes for name, program in PROGRAMS.items()}, **_FILTERS}


def programs(text: str) -> list[str]:
    """The programs of a command, filters aside.

    Raises:
        WindowsSyntaxError: quotes or brackets do not match, a program is unknown, or it does not take a parameter.
    """
    found = list[str]()
    around = list[tuple[str, str | None]]()  # each open bracket, and the program whose parameter it stands in
    current: str | None = None
    for token in _tokens(text):
        in_hash = bool(around) and around[-1][0] == "@{"
        if token in {"@{", "{", "("}:
            around.append((token, current))
            current = None if token == "(" else current
        elif token in _PAIRS:
            if not around or around[-1][0][-1] != _PAIRS[token]:
                raise WindowsSyntaxError(f"{text}: {token} closes nothing")
            current = around.pop()[1] or "("
        elif token == "|" or (token == ";" and not in_hash):
            current = None
        elif current is None:
            current = _known(text, token)
            found.append(current)
        elif current in TAKES and not in_hash:
            _check_parameter(text, current, token)
    if around:
        raise WindowsSyntaxError(f"{text}: {around[-1][0]} is not closed")
    return [name for name in found if name not in _FILTERS]


def _tokens(text: str) -> list[str]:
    found, end = list[str](), 0
    for token in _TOKEN.finditer(text):
        if text[end : token.start()].strip():
            raise WindowsSyntaxError(f"{text}: a quote is not closed")
        found.append(token[0])
        end = token.end()
    if text[end:].strip():
        raise WindowsSyntaxError(f"{text}: a quote is not closed")
    return found


def _known(text: str, name: str) -> str:
    if name not in TAKES:
        raise WindowsSyntaxError(f"{text}: {name} is not described in {Path(__file__).name}")
    return name


def _check_parameter(text: str, name: str, token: str) -> None:
    switch = re.match(r"^[-/+]([A-Za-z]\w*)", token)
    allowed = TAKES[name] | (_COMMON if "-" in name else frozenset())
    if switch and switch[1].lower() not in {word.lower() for word in allowed}:
        raise WindowsSyntaxError(f"{text}: {name} does not take {token}")
