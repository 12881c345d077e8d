"""Quotes, newlines, `$()` and the like in whatever a person may write: refused, or taken as the plain text they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from smbferry_agent.errors import AgentError
from smbferry_agent.kerberos.krb5_config import Krb5Config, check_realm
from smbferry_agent.kerberos.krb5_render import render
from smbferry_api.identity import KerberosIdentitySpec
from smbferry_api.location import SmbLocationSpec
from smbferry_api.task import TransferTaskSpec

if TYPE_CHECKING:
    from pydantic import BaseModel

HOSTILE = [
    "$(id)",
    "`id`",
    "${HOME}",
    "'; rm -rf / #",
    '"quoted"',
    "a\nkdc = 10.0.0.1",
    "a\r\n[plugins]",
    "}\n[libdefaults]\n allow_weak_crypto = true\n",
    "x\x00y",
    "..\\C$",
    "../..",
    "\u2028",
    "\u202etxt.exe",
    "-option",
    "%s%n",
]
IDENTITY = {"principal": "svc@CORP.EXAMPLE.COM", "keytabSecretRef": {"name": "k"}, "krb5ConfigMapRef": {"name": "c"}}
LOCATION = {"server": "files.corp.example.com", "share": "finance", "identityRef": {"name": "svc"}}
TASK = {"source": {"locationRef": {"name": "a"}}, "destination": {"locationRef": {"name": "b"}}}


def rendered(principal: str) -> str:
    spec = KerberosIdentitySpec.model_validate({**IDENTITY, "principal": principal})
    check_realm(spec.principal)
    return render(
        Krb5Config(), realm=spec.principal.rpartition("@")[2], enctypes=spec.permitted_enctypes, kdcs={"R": []}
    )


@pytest.mark.fault(59)
@pytest.mark.parametrize("text", HOSTILE)
def test_a_principals_name_never_reaches_the_krb5_conf(text: str) -> None:
    try:
        found = rendered(f"{text}@CORP.EXAMPLE.COM")
    except ValidationError:
        return  # refused, which is as good
    assert found == rendered("svc@CORP.EXAMPLE.COM")


@pytest.mark.parametrize("text", HOSTILE)
def test_a_realm_that_is_none_is_refused(text: str) -> None:
    with pytest.raises((ValidationError, AgentError)):
        rendered(f"svc@{text}")


@pytest.mark.parametrize("text", HOSTILE)
def test_a_server_that_is_no_host_name_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        SmbLocationSpec.model_validate({**LOCATION, "server": text})


@pytest.mark.fault(55, 59)
@pytest.mark.parametrize("field", ["share", "servicePrincipal", "path"])
@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_taken_is_taken_as_it_is_and_can_not_leave_its_place(field: str, text: str) -> None:
    value = {"share": text, "servicePrincipal": f"cifs/{text}", "path": f"/{text}"}[field]
    try:
        spec = SmbLocationSpec.model_validate({**LOCATION, field: value})
    except ValidationError:
        return
    assert spec.model_dump(by_alias=True)[field] == value
    assert not set("\\/\n\r\x00") & set(spec.share)
    assert not {".", ".."} & set(spec.path.split("/"))
    assert not set("\n\r\x00") & set(spec.path + spec.target)


@pytest.mark.fault(58)
@pytest.mark.parametrize(
    ("model", "base", "change"),
    [
        (KerberosIdentitySpec, IDENTITY, {"keytabSecretRef": {"name": "k", "namespace": "other"}}),
        (KerberosIdentitySpec, IDENTITY, {"krb5ConfigMapRef": {"name": "c", "namespace": "other"}}),
        (SmbLocationSpec, LOCATION, {"identityRef": {"name": "svc", "namespace": "other"}}),
        (TransferTaskSpec, TASK, {"source": {"locationRef": {"name": "a", "namespace": "other"}}}),
        (SmbLocationSpec, LOCATION, {"identityRef": {"name": "other/svc"}}),
        (TransferTaskSpec, TASK, {"destination": {"locationRef": {"name": "../other/b"}}}),
    ],
)
def test_a_reference_into_another_namespace_can_not_be_written(
    model: type[BaseModel], base: dict[str, Any], change: dict[str, Any]
) -> None:
    model.model_validate(base)
    with pytest.raises(ValidationError):
        model.model_validate({**base, **change})
