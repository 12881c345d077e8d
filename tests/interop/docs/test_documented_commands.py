"""Commands of README and docs against the domain: those of a client here, those of an administrator on the controller.

What is typed on Windows can't be run; what does the same on Samba is.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import secrets
import shlex
import subprocess
from typing import TYPE_CHECKING

import pytest
from lab.support.domain.domain import Domain
from lab.support.domain.trees import Wanted
from tests.documented import windows
from tests.documented.commands import ROOT, Command, Prompt
from tests.documented.places import ENDS_WITH, Place, of
from tests.documented.run import Reader, form_of, put_datasync, with_names, with_smbferry
from tests.interop.agent.support import default_config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from lab.support.domain.domain import User

    OnController = Callable[..., str]

pytestmark = pytest.mark.takes(40)

CLIENT = of(Place.TOOLS)
CONTROLLER = of(Place.DOMAIN)
ON_WINDOWS = sorted({windows.PROGRAMS[p].instead for c in of(Place.WINDOWS) for p in windows.programs(c.text)})
INIT, IMPORT = (next(c for c in of(Place.UNIT) if f"smbferry {verb}" in c.text) for verb in ("init", "import"))


def name_of(command: Command) -> str:
    return f"{command.page}: {' '.join(command.text.split())[:70]}"


@pytest.fixture(scope="module")
def domain() -> Domain:
    return Domain.from_environment()


@pytest.fixture(scope="module")
def users(domain: Domain) -> Iterator[tuple[User, User]]:
    """The docs' svc-src and svc-dst; the first has a service's name, too, so that tickets for it are given."""
    groups = ("src-readers", "dst-writers")
    with domain.user(*groups, prefix="docs") as source, domain.user(*groups, prefix="docs") as destination:
        domain.samba_tool("spn", "add", f"svc/{source.name}", source.name)
        yield source, destination


@pytest.fixture(scope="module")
def names(domain: Domain, users: tuple[User, User]) -> Iterator[dict[str, str]]:
    """The docs' names, and what has them here: one server, its shares src and dst, a folder in each."""
    with domain.directory("src") as source, domain.directory("dst") as destination:
        source.seed([Wanted("a", size=5)])
        destination.seed([Wanted("file", size=5), Wanted("folder/x", size=5)])
        hosts = ("files.corp.example.com", "files.partner.example.net", "SERVER", "SOURCE", "DESTINATION")
        docs = {
            **dict.fromkeys(hosts, domain.server),
            **dict.fromkeys(("10.0.0.10", "10.0.0.20"), domain.address),
            "PARTNER.EXAMPLE.NET": domain.realm,
            "svc-new@CORP.EXAMPLE.COM": users[0].principal,
            "svc-new": f"docs-{secrets.token_hex(4)}",
            "//old.corp.example.com/finance": f"//{domain.server}/src{source.path}",
            "//new.corp.example.com/finance": f"//{domain.server}/dst{destination.path}",
            "SHARE": "dst",
            "NAMESPACE": "dfs",
            "LINK": "dst",
            "PATH": destination.name,
            "projects": destination.name,
            "folder": destination.name,
            "file": f"{destination.name}/file",
            "/srv/share/folder": destination.inside,
            "/srv/share": "/srv/dst",
            "FILE...": "examples/basic --keytab svc-src-keytab=svc-src.keytab --keytab svc-dst-keytab=svc-dst.keytab",
            "src-demo": source.path,
            "dst-demo": destination.path,
        }  # fmt: skip
        for name, user in zip(("svc-src", "svc-dst"), users, strict=True):
            docs |= {
                name: user.name,
                f"{name}@CORP.EXAMPLE.COM": user.principal,
                f"{name}-keytab": f"{user.name}-keytab",
            }
        docs["FILE..."] = with_names(docs["FILE..."], docs)
        yield docs


@pytest.fixture(scope="module")
def folder(
    domain: Domain, users: tuple[User, User], names: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """What a reader has at hand: keytabs, one of them from before a change of the password, and manifests."""
    made = tmp_path_factory.mktemp("reader")
    domain.set_password(users[0].name)
    (made / "old.keytab").write_bytes(users[0].keytab())
    domain.set_password(users[0].name, users[0].password)
    (made / "krb5.conf").write_text(default_config(domain))
    manifests = made / "examples" / "basic"
    manifests.mkdir(parents=True)
    for page in sorted((ROOT / "examples" / "basic").glob("*.yaml")):
        text = page.read_text().replace("share: src\n  path: /demo", f"share: src\n  path: {names['src-demo']}")
        text = text.replace("share: dst\n  path: /demo", f"share: dst\n  path: {names['dst-demo']}")
        (manifests / page.name).write_text(with_names(text, names))
    ends = {"source": f"src{names['src-demo']}", "destination": f"dst{names['dst-demo']}"}
    places = {name: f"{domain.server}/{where}" for name, where in ends.items()}
    put_datasync(made, principal=users[0].principal, **places)
    failure = {"kind": "Failure", "reason": "AccessDenied", "path": "/a"}
    (made / "nightly-x7.files.jsonl.gz").write_bytes(gzip.compress(json.dumps(failure).encode()))
    return made


@pytest.fixture
def reader(folder: Path, names: dict[str, str], domain: Domain, users: tuple[User, User]) -> Reader:
    """Somebody in that folder, with a ticket; commands may use up what is there."""
    for name, user in zip(("svc-src", "svc-dst"), users, strict=True):
        (folder / f"{user.name}.keytab").write_bytes(keytab := user.keytab())
        (folder / f"{name}.keytab").write_bytes(keytab)
    environment = {**os.environ, "KRB5CCNAME": str(folder / "ccache"), "XDG_RUNTIME_DIR": str(folder)}
    if not (folder / "ccache").exists():
        words = ["kinit", "-kt", str(folder / "svc-src.keytab"), users[0].principal]
        subprocess.run(words, env=environment, check=True)
    return Reader(folder, with_smbferry(folder, environment), names, typed=f"{users[0].password}\n")


@pytest.mark.parametrize("command", CLIENT, ids=name_of)
def test_a_client_of_the_domain_can_type_it(command: Command, reader: Reader, typed: set[str]) -> None:
    if "migration/" in command.text and not (reader.folder / "migration").exists():
        reader.types(INIT)
    if "transfer.yaml" in command.text:
        reader.types(IMPORT)
    if (text := with_names(form_of(command), reader.names)) not in typed:  # a placeholder may stand for the same
        reader.types(command)
        typed.add(text)


@pytest.fixture(scope="module")
def typed() -> set[str]:
    """What was typed already."""
    return set()


@pytest.fixture(scope="module")
def on_controller(domain: Domain, users: tuple[User, User], names: dict[str, str]) -> Iterator[OnController]:
    """Runs commands on the domain controller; a keytab that they write goes into a folder of its own."""
    place = f"/tmp/docs-{secrets.token_hex(4)}"
    domain.run("mkdir", place)

    def run(text: str, expected: int = 0) -> str:
        said = ""
        here = {**names, "svc-src.keytab": f"{place}/svc-src.keytab", "FOLDER": place}
        for part in with_names(text, here).split(" && "):
            plain = not re.search(r"[|<>;$*]", part)
            words = shlex.split(part) if plain else ["bash", "-o", "pipefail", "-c", part]
            result = domain.run(*words, check=False)
            assert result.code == expected, f"{part}\nended with {result.code}:\n{result.text}"
            said += result.text
        return said

    yield run
    domain.run("rm", "-rf", place)


@pytest.mark.parametrize("command", [c for c in CONTROLLER if c.prompt is Prompt.SHELL], ids=name_of)
def test_an_administrator_of_samba_can_type_it(command: Command, on_controller: OnController) -> None:
    on_controller(form_of(command), ENDS_WITH.get(command.text, 0))


@pytest.mark.parametrize("text", ON_WINDOWS)
def test_what_is_typed_on_windows_has_an_equal_on_samba(text: str, on_controller: OnController) -> None:
    assert on_controller(text).strip(), "says nothing"


@pytest.mark.parametrize("command", [c for c in CONTROLLER if c.text.startswith("addent")], ids=name_of)
def test_ktutil_makes_a_keytab_from_a_password(
    command: Command, on_controller: OnController, users: tuple[User, User]
) -> None:
    (write,) = (c.text for c in CONTROLLER if c.text.startswith("wkt"))
    script = f"{command.text}\n{users[0].password}\n{write}\nquit"
    # ktutil adds to a keytab that is there, and ends with 0 whatever happened.
    said = on_controller(
        f"rm -f svc-src.keytab; printf '%s\\n' {shlex.quote(script)} | ktutil; klist -kte svc-src.keytab"
    )
    assert re.search(rf"^ +4 .* {re.escape(users[0].principal)} \(aes256-cts-hmac-sha1-96\)", said, re.MULTILINE), said


def test_kadmin_tells_of_accounts_and_writes_their_keytabs(on_controller: OnController) -> None:
    typed = [c.text for c in CONTROLLER if c.prompt is Prompt.KADMIN]
    accounts = ("svc-src@CORP.EXAMPLE.COM", "krbtgt/PARTNER.EXAMPLE.NET@CORP.EXAMPLE.COM")
    asked = "; ".join(f"kadmin.local -q {shlex.quote(text)}" for text in typed)
    profile = "[realms]\nCORP.EXAMPLE.COM = {\ndatabase_name = FOLDER/db\nkey_stash_file = FOLDER/stash\n}\n"
    made = "".join(f"kadmin.local -q 'addprinc -randkey {name}'; " for name in accounts)
    said = on_controller(
        f"export KRB5_KDC_PROFILE=FOLDER/kdc.conf; printf %s '{profile}' > FOLDER/kdc.conf; "
        f"kdb5_util create -s -W -P secret > FOLDER/log; {made}{asked}"
    )
    assert said.count("Key: vno") >= 2 * (len(typed) - 1), said
    assert "Entry for principal" in said
    assert "added to keytab" in said
