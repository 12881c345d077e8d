"""A private folder for what libkrb5 and the agent want as files: keytabs, credential caches, the rendered krb5.conf."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from smbferry_agent.kerberos.scratch import Scratch, wipe
from smbferry_agent.mounts import IdentityMount
from smbferry_api.identity import KerberosIdentitySpec
from smbferry_cli.manifests import ManifestError, Manifests

_KEY: Final = re.compile(r"(?!\.\.)[-._a-zA-Z0-9]{1,253}")
_SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108 (only ever used through mkdtemp, which makes a folder of our own)


class Workspace:
    """A context manager: a folder of mode 0700, in memory where there is some, overwritten and removed at the end."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._parent = next(_parents(environ))
        self._folder: Path | None = None
        self._mounts = 0

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix="smbferry-", dir=self._parent))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.wipe()

    @property
    def folder(self) -> Path:
        """The folder; there is one within the context only."""
        if self._folder is None:
            raise RuntimeError("a workspace outside of its context")
        return self._folder

    def wipe(self) -> None:
        """Overwrites every file and removes the folder; nothing happens where it is gone already."""
        if self._folder is None:
            return
        for folder, _, files in os.walk(self._folder):
            for name in files:
                wipe(Path(folder, name))
        shutil.rmtree(self._folder)
        self._folder = None

    def mount(self, spec: KerberosIdentitySpec, manifests: Manifests) -> IdentityMount:
        """The identity's Secret and ConfigMap as an agent's pod would have them mounted.

        Raises:
            ManifestError: one of them has a key that no cluster would take.
        """
        self._mounts += 1
        root = self.folder / f"identity-{self._mounts}"
        secret, config_map = spec.keytab_secret_ref.name, spec.krb5_config_map_ref.name
        _lay_out(root / "keytab", manifests.secrets.get(secret, {}), f"Secret {secret}")
        _lay_out(root / "krb5", manifests.config_maps.get(config_map, {}), f"ConfigMap {config_map}")
        return IdentityMount(root / "keytab", root / "krb5", "in the files")


def _lay_out(folder: Path, data: Mapping[str, bytes], what: str) -> None:
    folder.mkdir(parents=True)
    for key, value in data.items():
        if not _KEY.fullmatch(key):
            raise ManifestError(f"{what}: {key!r} can't be a key; expected letters, digits, '-', '_' and '.'")
        Scratch.write(folder / key, value)


def _parents(environ: Mapping[str, str]) -> Iterator[Path]:
    """Where to put the folder, best first: both of the first two are in memory and gone after a restart."""
    for folder in (Path(environ.get("XDG_RUNTIME_DIR", "")), _SHARED_MEMORY):
        if folder.is_absolute() and folder.is_dir() and os.access(folder, os.W_OK | os.X_OK):
            yield folder
    yield Path(tempfile.gettempdir())
