"""Keytabs, krb5.conf, the observed exchange with the KDC, tickets, and the verdict on key versions."""
