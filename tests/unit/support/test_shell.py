"""A shell in the container that has ended, or was left in the middle of an answer, is never asked again."""

from __future__ import annotations

import json
import socket
import struct
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from lab.support.domain import shell
from lab.support.domain.domain import Domain
from lab.support.domain.machine import DomainError
from lab.support.domain.shell import STDOUT

if TYPE_CHECKING:
    from collections.abc import Iterator

STDERR = 2


class Container:
    """As much of the Docker SDK's container as a shell uses; each shell's first answer is its number.

    `ends` has the far end of each shell's connection.
    """

    def __init__(self) -> None:
        self.id = "dc"
        self.client = SimpleNamespace(api=self)
        self.ends: list[socket.socket] = []

    def exec_create(self, _container: str, _command: list[str], **_options: bool) -> dict[str, str]:
        return {"Id": str(len(self.ends))}

    def exec_start(self, _id: str, **_options: bool) -> socket.SocketIO:
        near, far = socket.socketpair()
        self.ends.append(far)
        self.answers(len(self.ends))
        with near:  # what is made of it keeps the connection
            return near.makefile("rb", buffering=0)

    def says(self, number: int, data: bytes, stream: int = STDOUT) -> None:
        self.ends[number - 1].sendall(struct.pack(">BxxxL", stream, len(data)) + data)

    def answers(self, number: int) -> None:
        self.says(number, (json.dumps({"returned": number}) + "\n").encode())


@pytest.fixture
def container() -> Iterator[Container]:
    made = Container()
    yield made
    for end in made.ends:
        end.close()


@pytest.fixture
def domain(container: Container) -> Domain:
    """A domain whose first shell has answered once, and waits."""
    made = Domain(container, realm="CORP.EXAMPLE.COM", server="dc1", address="10.0.0.1")
    assert asked(made) == 1
    return made


def asked(domain: Domain) -> int:
    """Which shell answers."""
    return domain.kvno("anybody")


def test_a_shell_that_waits_is_asked_again(domain: Domain, container: Container) -> None:
    container.says(1, b"a warning", STDERR)
    container.answers(1)
    assert asked(domain) == 1
    assert len(container.ends) == 1


def test_one_that_ended_while_it_waited_is_replaced(domain: Domain, container: Container) -> None:
    container.ends[0].close()
    assert asked(domain) == 2


def test_one_that_ended_under_a_question_is_told_of_and_replaced(domain: Domain, container: Container) -> None:
    container.says(1, b"Traceback", STDERR)
    container.ends[0].shutdown(socket.SHUT_WR)
    with pytest.raises(DomainError, match="the container's shell ended: Traceback"):
        asked(domain)
    assert asked(domain) == 2


def test_one_that_takes_no_question_is_told_of_and_replaced(domain: Domain, container: Container) -> None:
    container.says(1, b"Traceback", STDERR)
    container.ends[0].close()
    with pytest.raises(DomainError, match="the container's shell is gone"):
        asked(domain)
    assert asked(domain) == 2


def test_an_answer_that_nobody_waited_for_is_not_the_next_questions(
    container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_frame: int) -> tuple[int, bytes]:
        raise KeyboardInterrupt

    domain = Domain(container, realm="CORP.EXAMPLE.COM", server="dc1", address="10.0.0.1")
    with monkeypatch.context() as patched:
        patched.setattr(shell, "frames_iter", lambda *_args, **_options: map(interrupted, [1]))
        with pytest.raises(KeyboardInterrupt):
            asked(domain)
    assert asked(domain) == 2
