"""The agent: checks identities and locations, and runs transfers, in a pod or without any cluster.

``kerberos`` knows keytabs, krb5.conf and KDCs; ``preflight`` gathers facts (probes, IO) and judges them (pure);
``report`` carries what was found to where it is read; ``main`` gives the order of the phases and the exit code.
"""
