"""The reference pages: written from the models, and saying something of every field."""

from pathlib import Path

import pytest

from smbferry_api.crd import KINDS, Kind, crd
from smbferry_api.reference import CONDITIONS, fields, page

PAGES = Path(__file__).resolve().parents[3] / "docs" / "reference"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_every_field_says_what_it_means(kind: Kind) -> None:
    properties = crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    rows = [*fields(properties["spec"]), *fields(properties["status"])]
    assert [row.path for row in rows if not row.description] == []
    assert len(rows) > 10


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_the_page_is_the_one_that_the_models_give(kind: Kind) -> None:
    assert (PAGES / f"{kind.singular}.md").read_text(encoding="utf-8") == page(kind)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_the_page_names_columns_conditions_and_defaults(kind: Kind) -> None:
    text = page(kind)
    assert all(column.name in text for column in kind.columns)
    assert all(f"`{type_.value}`" in text for type_ in CONDITIONS[kind.kind])


def test_a_range_is_shown_as_one() -> None:
    assert "1m to 168h." in page(KINDS[0])
