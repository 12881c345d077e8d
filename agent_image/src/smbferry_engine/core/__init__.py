"""The protocol core: bytes in, bytes and results out; no sockets, no clock of its own, no threads.

``frames`` and ``crypto`` turn a byte stream into decrypted messages in place; ``credits`` is flow control; ``session``
matches replies to calls.
"""
