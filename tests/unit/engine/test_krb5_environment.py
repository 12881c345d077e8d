"""One krb5.conf at a time, whoever asks."""

import os
import threading

import pytest

from smbferry_engine import krb5_environment


def test_only_the_named_file_is_seen_and_the_environment_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KRB5_CONFIG", "before")
    monkeypatch.setenv("KRB5CCNAME", "FILE:theirs")
    monkeypatch.delenv("KRB5_KTNAME", raising=False)
    with krb5_environment("ours"):
        assert os.environ["KRB5_CONFIG"] == "ours"
        assert "KRB5CCNAME" not in os.environ
        with krb5_environment("inner"):
            assert os.environ["KRB5_CONFIG"] == "inner"
        assert os.environ["KRB5_CONFIG"] == "ours"
    assert (os.environ["KRB5_CONFIG"], os.environ["KRB5CCNAME"]) == ("before", "FILE:theirs")
    assert "KRB5_KTNAME" not in os.environ


def test_an_error_within_brings_the_environment_back_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KRB5_CONFIG", raising=False)
    with pytest.raises(ValueError, match="within"), krb5_environment("ours"):
        raise ValueError("within")
    assert "KRB5_CONFIG" not in os.environ


def test_another_thread_waits_for_its_turn() -> None:
    seen: list[str] = []
    started = threading.Event()

    def other() -> None:
        started.set()
        with krb5_environment("theirs"):
            seen.append(os.environ["KRB5_CONFIG"])

    thread = threading.Thread(target=other)
    with krb5_environment("ours"):
        thread.start()
        assert started.wait(5)
        thread.join(0.05)
        assert seen == []
        assert os.environ["KRB5_CONFIG"] == "ours"
    thread.join(5)
    assert seen == ["theirs"]
