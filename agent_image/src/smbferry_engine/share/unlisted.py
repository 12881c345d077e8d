"""Reads what no listing has of a file: its descriptor, its attachments, how many names it has. Reads no content."""

from collections.abc import Sequence
from typing import NamedTuple

from smbferry_engine.core.calls import (
    Call,
    Reply,
    Request,
    close_request,
    query_internal_request,
    query_security_request,
    query_standard_request,
)
from smbferry_engine.plan.attachments import NO_ATTACHMENTS, Attachments, Kinds
from smbferry_engine.share.access import DESCRIPTOR_LIMIT
from smbferry_engine.share.attached import access_for, attachments_in, requests_for
from smbferry_engine.share.attachments import read_attachments
from smbferry_engine.share.replies import check
from smbferry_engine.share.share import Share
from smbferry_engine.wire.create import Access, CreateOption
from smbferry_engine.wire.info import OWNER_AND_GROUP, decode_internal, decode_query, decode_standard
from smbferry_engine.wire.status import NtStatus

_READ_ATTRIBUTES = int(Access.READ_ATTRIBUTES)


class Unlisted(NamedTuple):
    """A file's raw descriptor, None if it was not asked for, its attachments, how many names it has, and the number
    that all of them have; 1 and 0 if that was not asked for, or the server does not say.
    """

    descriptor: bytes | None
    attachments: Attachments
    names: int = 1
    number: int = 0


class Question(NamedTuple):
    """What is asked of one file. ``access`` and ``parts`` are as for its descriptor, 0 for none; ``names`` asks for
    these; ``open_reparse_point`` is as for :func:`~smbferry_engine.core.calls.open_request`.
    """

    share: Share
    path: str
    access: int
    parts: int
    kinds: Kinds
    names: bool = False
    open_reparse_point: bool = True

    def ask(self) -> Call:
        """Send the compound. Its handle conflicts with no sharing mode (MS-FSA 2.1.5.1.2.2)."""
        access = (self.access if self.parts else 0) | access_for(self.kinds)
        requests: list[Request] = [
            self.share.open(
                self.path,
                access=access | (_READ_ATTRIBUTES if self.kinds or self.names else 0),
                options=CreateOption.NON_DIRECTORY_FILE,
                open_reparse_point=self.open_reparse_point,
            )
        ]
        if self.parts:
            requests.append(query_security_request(self.parts | OWNER_AND_GROUP, DESCRIPTOR_LIMIT))
        if self.names:
            requests += [query_standard_request(), query_internal_request()]
        return self.share.session.call(*requests, *requests_for(self.kinds), close_request())

    async def answer(self, replies: Sequence[Reply]) -> Unlisted:
        """Return what the replies say; lists that are too long for a compound are read through another open.

        Raises:
            FileError: the server refused.
        """
        left = iter(replies)
        check(next(left), "opening it to read its metadata")
        descriptor = None
        if self.parts:
            raw = bytes(decode_query(check(next(left), "reading its security descriptor").message))
            descriptor = self.share.translated(self.path, raw)
        names, number = _names(next(left), next(left)) if self.names else (1, 0)
        found: Attachments | None = NO_ATTACHMENTS
        if self.kinds:
            found = attachments_in(self.kinds, left)
        if found is None:
            found = await read_attachments(
                self.share, self.path, self.kinds, open_reparse_point=self.open_reparse_point
            )
        return Unlisted(descriptor, found, names, number)


def _names(standard: Reply, internal: Reply) -> tuple[int, int]:
    if standard.status != NtStatus.SUCCESS or internal.status != NtStatus.SUCCESS:
        return 1, 0
    return decode_standard(standard.message).links, decode_internal(internal.message)
