"""The agent: checks identities and locations, and runs transfers, in a pod or without any cluster.

`kerberos` has keytabs, krb5.conf and the exchange with KDCs; `preflight` collects facts (probes, IO) and judges them
(pure); `report` writes the results; `main` runs a command and returns its exit code.
"""
