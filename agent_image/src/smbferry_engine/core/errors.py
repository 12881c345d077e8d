"""What the core raises; the channel converts it to an :class:`~smbferry_engine.errors.EngineError`, once."""


class ProtocolError(Exception):
    """The peer broke the protocol or the session's protection. The connection can't be used any more."""


class PlaintextReplyError(ProtocolError):
    """A frame came unencrypted on a session where everything is encrypted."""


class ForgedFrameError(ProtocolError):
    """A frame that the session's key does not decrypt: altered on the way, or not from the server."""
