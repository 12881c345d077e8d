"""One check of an identity in a process of its own, for tests that give it another clock: prints the status as JSON."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from smbferry_agent.checks import check_identity
from smbferry_agent.mounts import IdentityMount
from smbferry_agent.preflight.identity_probe import IdentitySubject
from smbferry_api.identity import KerberosIdentitySpec


class Printer:
    """A sink that prints."""

    def write(self, status: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(status))


if __name__ == "__main__":
    folder, spec = Path(sys.argv[1]), KerberosIdentitySpec.model_validate_json(sys.argv[2])
    mount = IdentityMount(folder / "keytab", folder / "krb5")
    check_identity(IdentitySubject(spec, 1, mount, folder / "scratch"), Printer(), datetime.now(UTC))
