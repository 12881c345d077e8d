"""`smbferry`, the command for people: the same checks and transfers as in a cluster, without one."""
