"""Keytabs, krb5.conf, the observed exchange with the KDC, tickets, and the verdict about key versions."""
