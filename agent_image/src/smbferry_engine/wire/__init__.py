"""SMB2 messages as struct codecs: bytes in, values out, no state and no IO.

Section numbers are those of MS-SMB2, or of MS-FSCC where said. Requests are encoded without their 64-byte header, which
the lane writes when the message gets its id. Responses are decoded from one whole message (header first) and every
length and offset in them is checked against that message, because a server's every byte is hostile until checked.
"""
