"""Audit lists (SACLs) take a privilege of the account's, which a session has or has not: asked for once, at both roots.

Without it everything else of a file is copied, and each one is told of; asked file by file, the server would refuse the
content too.
"""

from smbferry_engine.core.calls import close_request, open_request
from smbferry_engine.errors import FileError, FileReason
from smbferry_engine.run import Run
from smbferry_engine.share import LIST_ACCESS, check
from smbferry_engine.wire.create import Access, CreateOption
from smbferry_engine.wire.info import SecurityPart
from smbferry_engine.wire.status import status_name


async def check_audit_privilege(run: Run) -> None:
    """Leave audit lists out of this run when an account may not read or set them; ``run.audit_refusal`` says why."""
    if not run.security_parts & SecurityPart.SACL:
        return
    for side, share in (("source", run.source), ("destination", run.destination)):
        access = LIST_ACCESS | Access.READ_CONTROL | Access.ACCESS_SYSTEM_SECURITY
        request = open_request(share.root, access=access, options=CreateOption.DIRECTORY_FILE)
        reply, _ = await share.lane.call(request, close_request())
        try:
            check(reply, "opening the root folder with its audit list")
        except FileError as error:
            # The root itself can be opened, as was seen before: it is the audit list that is refused.
            run.audit_refusal = FileError(
                FileReason.SECURITY_NOT_PERMITTED,
                f"content, owner and access list were copied, the audit list was not: the {side}'s account lacks "
                "SeSecurityPrivilege there. Grant it (Manage auditing and security log), "
                f"or choose securityDescriptors: OwnerDacl ({status_name(error.status)})",
                status=error.status,
            )
            return
