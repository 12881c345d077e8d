"""Sessions with servers: sockets, handshake, Kerberos, renewal, reconnection, DFS."""
