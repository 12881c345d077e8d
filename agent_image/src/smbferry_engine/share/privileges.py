"""Audit lists (SACLs) take a privilege. Whether the accounts have it is checked once, at both roots.

Without it, everything but the audit list is copied, and each file is reported; requested file by file, the server would
refuse the content, too.
"""

from smbferry_engine.core.calls import close_request
from smbferry_engine.errors import FileError, FileReason
from smbferry_engine.share.access import LIST_ACCESS
from smbferry_engine.share.metadata import MetadataPolicy
from smbferry_engine.share.replies import check
from smbferry_engine.share.share import Share
from smbferry_engine.wire.create import Access, CreateOption
from smbferry_engine.wire.info import SecurityPart
from smbferry_engine.wire.status import status_name


async def check_audit_privilege(source: Share, destination: Share, policy: MetadataPolicy) -> None:
    """Leave audit lists out of the policy if an account may not read or set them."""
    if not policy.security_parts & SecurityPart.SACL:
        return
    for side, share in (("source", source), ("destination", destination)):
        access = LIST_ACCESS | Access.READ_CONTROL | Access.ACCESS_SYSTEM_SECURITY
        request = share.open("", access=access, options=CreateOption.DIRECTORY_FILE)
        reply, _ = await share.session.call(request, close_request())
        try:
            check(reply, "opening the root folder with its audit list")
        except FileError as error:
            # The root could be opened before, so it is the audit list that is refused.
            refusal = FileError(
                FileReason.SECURITY_NOT_PERMITTED,
                f"content, owner and access list were copied, the audit list was not: the {side}'s account lacks "
                "SeSecurityPrivilege there. Grant it (Manage auditing and security log), "
                f"or choose securityDescriptors: OwnerDacl ({status_name(error.status)})",
                status=error.status,
            )
            policy.leave_out_audit_lists(refusal)
            return
