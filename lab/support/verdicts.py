"""The conditions, by type and status, of what every check found good."""

IDENTITY_IS_WELL = {
    "DnsReady": "True",
    "KdcReachable": "True",
    "TimeInSync": "True",
    "KeytabValid": "True",
    "KvnoMismatch": "False",
    "TicketAcquired": "True",
}
LOCATION_IS_WELL = {
    "DnsReady": "True",
    "TicketAcquired": "True",
    "ServerReachable": "True",
    "Encrypted": "True",
    "ShareAccessible": "True",
}
