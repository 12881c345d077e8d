"""SMB2 messages as struct codecs: bytes in, values out, no state and no IO.

Section numbers refer to MS-SMB2 unless another document is named. Requests are encoded without their 64-byte header,
which the session adds when the message gets its id. Responses are decoded from one whole message, header included;
every length and offset is checked against that message, because all input is untrusted.
"""
