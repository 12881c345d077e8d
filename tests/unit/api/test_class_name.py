"""spec.className: the same field of all kinds, for people and for the API server."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from smbferry_api.class_name import CLASS_IS_FIXED
from smbferry_api.crd import KINDS, Kind, crd
from smbferry_api.location import SmbLocationSpec

LOCATION = {"server": "fs1.example.com", "share": "data", "identityRef": {"name": "svc"}}


def schema(kind: Kind) -> dict[str, Any]:
    found: dict[str, Any] = crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return found


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_each_kind_has_the_field_which_cannot_be_changed_and_a_column_of_it(kind: Kind) -> None:
    field = schema(kind)["properties"]["className"]

    assert {name: field.get(name) for name in ("type", "minLength", "maxLength", "default")} == {
        "type": "string", "minLength": 1, "maxLength": 63, "default": None,
    }  # fmt: skip
    assert field == schema(KINDS[0])["properties"]["className"]
    assert "className" not in schema(kind).get("required", [])
    assert CLASS_IS_FIXED in schema(kind)["x-kubernetes-validations"]
    assert [column.wide for column in kind.columns if column.json_path == ".spec.className"] == [True]


@pytest.mark.parametrize("name", ["branch", "a", "0", "a-b-9", "a" * 63])
def test_a_name_is_taken_as_it_is(name: str) -> None:
    assert SmbLocationSpec.model_validate({**LOCATION, "className": name}).class_name == name


@pytest.mark.parametrize("name", ["", "Branch", "-a", "a-", "a.b", "a_b", "a b", "a\n", "a" * 64, 7])
def test_what_no_label_could_hold_is_refused(name: Any) -> None:
    with pytest.raises(ValidationError):
        SmbLocationSpec.model_validate({**LOCATION, "className": name})


def test_without_it_an_object_is_of_the_default_class() -> None:
    assert SmbLocationSpec.model_validate(LOCATION).class_name is None
