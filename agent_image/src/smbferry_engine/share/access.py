"""Access masks (MS-SMB2 2.2.13.1), as plain integers."""

from smbferry_engine.wire.create import (
    Access,
)

DESCRIPTOR_LIMIT = 64 * 1024
# Plain integers: these are combined once per file, and IntFlag is slow at that.
READ_ACCESS = int(Access.READ_DATA | Access.READ_ATTRIBUTES | Access.SYNCHRONIZE)
LIST_ACCESS = READ_ACCESS
DELETE_ACCESS = int(Access.DELETE | Access.READ_ATTRIBUTES | Access.SYNCHRONIZE)
SET_ACCESS = int(Access.READ_ATTRIBUTES | Access.WRITE_ATTRIBUTES | Access.SYNCHRONIZE)
# What could change a file or folder, or its metadata.
CHANGING_ACCESS = int(
    Access.WRITE_DATA
    | Access.APPEND_DATA
    | Access.WRITE_EA
    | Access.DELETE_CHILD
    | Access.WRITE_ATTRIBUTES
    | Access.DELETE
    | Access.WRITE_DAC
    | Access.WRITE_OWNER
)
WRITE_ACCESS = int(
    Access.WRITE_DATA
    | Access.APPEND_DATA
    | Access.READ_ATTRIBUTES
    | Access.WRITE_ATTRIBUTES
    | Access.DELETE
    | Access.SYNCHRONIZE
)
