"""A private folder for files of libkrb5 and the agent: keytabs, credential caches, the rendered krb5.conf."""

import os
import re
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from smbferry_agent.kerberos.scratch import Scratch, wipe
from smbferry_agent.mounts import IdentityMount
from smbferry_agent.preflight.sid_map import SidMapSource
from smbferry_api.identity import KerberosIdentitySpec
from smbferry_api.task_options import SidMap
from smbferry_cli.manifests import ManifestError, Manifests

_KEY: Final = re.compile(r"(?!\.\.)[-._a-zA-Z0-9]{1,253}")
_SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108 (only ever used through mkdtemp, which makes a folder of our own)


class Workspace:
    """A context manager with a folder of mode 0700, in memory if possible; overwritten and removed at the end."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._parent = next(_parents(environ))
        self._folder: Path | None = None
        self._mounts = 0
        self._wiping = threading.Lock()

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix="smbferry-", dir=self._parent))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.wipe()

    @property
    def folder(self) -> Path:
        """The folder; exists only within the context."""
        if self._folder is None:
            raise RuntimeError("the workspace is used outside of its context")
        return self._folder

    def wipe(self) -> None:
        """Overwrites every file and removes the folder, unless it is already removed. Waits for a wipe under way.

        The folder is renamed first: threads that still use it find it no longer, and cannot add files while it goes.
        """
        with self._wiping:
            if self._folder is None:
                return
            hidden = self._folder.rename(self._folder.with_name(f"{self._folder.name}-removed"))
            self._folder = None
            for folder, _, files in os.walk(hidden):
                for name in files:
                    wipe(Path(folder, name))
            shutil.rmtree(hidden)

    def mount(self, spec: KerberosIdentitySpec, manifests: Manifests) -> IdentityMount:
        """Writes the identity's Secret and ConfigMap in the layout of an agent's mounts.

        Raises:
            ManifestError: a key is invalid.
        """
        self._mounts += 1
        root = self.folder / f"identity-{self._mounts}"
        secret, config_map = spec.keytab_secret_ref.name, spec.krb5_config_map_ref.name
        _lay_out(root / "keytab", manifests.secrets.get(secret, {}), f"Secret {secret}")
        _lay_out(root / "krb5", manifests.config_maps.get(config_map, {}), f"ConfigMap {config_map}")
        return IdentityMount(root / "keytab", root / "krb5", "in the files")

    def mount_sid_map(self, option: SidMap | None, manifests: Manifests) -> SidMapSource:
        """Writes the ConfigMap of a task's SID map in the layout of an agent's mount.

        Raises:
            ManifestError: a key is invalid.
        """
        folder = self.folder / "sid-map"
        if option is not None:
            name = option.config_map_ref.name
            _lay_out(folder, manifests.config_maps.get(name, {}), f"ConfigMap {name}")
        return SidMapSource(folder, "in the files")


def _lay_out(folder: Path, data: Mapping[str, bytes], what: str) -> None:
    folder.mkdir(parents=True)
    for key, value in data.items():
        if not _KEY.fullmatch(key):
            raise ManifestError(f"{what}: expected a key of letters, digits, '-', '_' and '.', got {key!r}")
        Scratch.write(folder / key, value)


def _parents(environ: Mapping[str, str]) -> Iterator[Path]:
    """Yields parent folders in order of preference; the first two are in memory and are cleared by a reboot."""
    for folder in (Path(environ.get("XDG_RUNTIME_DIR", "")), _SHARED_MEMORY):
        if folder.is_absolute() and folder.is_dir() and os.access(folder, os.W_OK | os.X_OK):
            yield folder
    yield Path(tempfile.gettempdir())
