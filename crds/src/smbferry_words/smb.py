"""Names of SMB's ciphers and dialects."""

from enum import StrEnum


class Cipher(StrEnum):
    """SMB 3.1.1 ciphers (MS-SMB2 2.2.3.1.2)."""

    AES_256_GCM = "AES-256-GCM"
    AES_128_GCM = "AES-128-GCM"
    AES_256_CCM = "AES-256-CCM"
    AES_128_CCM = "AES-128-CCM"


class Dialect(StrEnum):
    """SMB dialects with encryption."""

    SMB_3_1_1 = "3.1.1"
    SMB_3_0_2 = "3.0.2"
