"""`smbferry`, the command line: the same checks and transfers as in a cluster, without one."""
