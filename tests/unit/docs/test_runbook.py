"""Pages of the runbook and reasons belong together."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from smbferry_api.conditions import ConditionType
from smbferry_api.reasons import all_reasons

RUNBOOK = Path(__file__).resolve().parents[3] / "docs" / "runbook"
INDEX = RUNBOOK / "README.md"
PAGES = {page.stem: page.read_text() for page in sorted(RUNBOOK.glob("*.md")) if page != INDEX}
TROUBLE = {reason.name: reason for reason in all_reasons() if reason.remedy or reason.failure}
PARTS = ["What it means", "Confirm it", "Fix it"]


def test_every_reason_that_says_something_is_wrong_has_a_page_and_no_page_is_without_one() -> None:
    assert sorted(PAGES) == sorted(TROUBLE)


def test_every_failure_has_a_remedy() -> None:
    assert [name for name, reason in TROUBLE.items() if not reason.remedy] == []


@pytest.mark.parametrize("name", PAGES)
def test_each_page_says_what_it_means_how_to_confirm_it_and_how_to_fix_it(name: str) -> None:
    title, *parts = re.split(r"^#+ (.+)\n", PAGES[name], flags=re.MULTILINE)[1:]
    assert title == name
    assert parts[1::2] == PARTS
    assert all(len(text.split()) >= 5 for text in parts[2::2]), "no part is empty"


@pytest.mark.parametrize("name", PAGES)
def test_fences_are_closed_and_links_lead_somewhere(name: str) -> None:
    assert PAGES[name].count("```") % 2 == 0
    for target, anchor in re.findall(r"\]\(([\w.]+)(?:#([\w-]+))?\)", PAGES[name]):
        text = (RUNBOOK / target).read_text()
        headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
        assert not anchor or anchor in {heading.lower().replace(" ", "-") for heading in headings}


def test_the_index_has_every_page_once_by_a_condition_that_there_is_with_the_reasons_own_words() -> None:
    rows = re.findall(r"^\| \[(\w+)\]\((\w+)\.md\) \| (.+) \|$", INDEX.read_text(), flags=re.MULTILINE)
    assert sorted(name for name, _, _ in rows) == sorted(PAGES)
    for name, page, says in rows:
        assert page == name
        assert says == TROUBLE[name].when
    named = re.findall(r"^## (?:KerberosIdentity|SmbLocation): (\w+)$", INDEX.read_text(), flags=re.MULTILINE)
    assert set(named) <= {type_.value for type_ in ConditionType}
