"""One identity's two krb5.conf: through the relay, and with the real KDCs for use without it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from smbferry_agent.kerberos.krb5_config import Krb5Config, may_be_mapped
from smbferry_agent.kerberos.krb5_render import render
from smbferry_agent.kerberos.scratch import Scratch
from smbferry_api.identity import KerberosIdentitySpec

Kdcs = Mapping[str, Sequence[tuple[str, int]]]
"""Address and port of each realm's KDCs, in order."""


class Krb5Files:
    """Both files, in the scratch folder; each is written anew when something becomes known."""

    def __init__(self, spec: KerberosIdentitySpec, config: Krb5Config, scratch: Scratch) -> None:
        self._spec = spec
        self._config = config
        self._scratch = scratch
        self._direct: Kdcs = {}

    def write_relayed(self, kdcs: Kdcs) -> None:
        """Writes the file whose KDCs are the relay."""
        self._write(self._scratch.relay_config, kdcs)

    def write_direct(self, kdcs: Kdcs) -> None:
        """Writes the file that names the real KDCs."""
        self._direct = kdcs
        self._write(self._scratch.krb5_config, kdcs)

    def map(self, host: str, realm: str) -> None:
        """Adds the host's realm to the file with the real KDCs, as tickets are looked up by host there.

        A target or a referral may have given the realm, so it may be missing in [domain_realm].
        """
        if self._config.realm_of(host) != realm and may_be_mapped(host, realm):
            self._config = replace(self._config, domain_realm={host: realm, **self._config.domain_realm})
            self.write_direct(self._direct)

    def realm_of(self, host: str) -> str | None:
        """The realm of a host in [domain_realm], with what was added."""
        return self._config.realm_of(host)

    def _write(self, path: Path, kdcs: Kdcs) -> None:
        realm = self._spec.principal.rpartition("@")[2]
        text = render(self._config, realm=realm, enctypes=self._spec.permitted_enctypes, kdcs=kdcs)
        self._scratch.write(path, text.encode())
