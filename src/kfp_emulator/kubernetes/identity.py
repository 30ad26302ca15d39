"""The ids and addresses that the cluster gives: the same ones for the same objects."""

from __future__ import annotations

import hashlib
from functools import lru_cache


def uid(*parts: object) -> str:
    """Return the UID that an object gets: the same one for the same parts."""
    text = hashlib.blake2b(":".join(map(str, parts)).encode("utf-8", "surrogatepass"), digest_size=16)
    digits = text.hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def address(identity: str) -> str:
    """Return the address of a pod."""
    number = int(identity[:8], 16)
    return f"10.{number >> 16 & 127}.{number >> 8 & 255}.{number & 255}"


def host_address(node: str) -> str:
    """Return the address of a node."""
    number = int(node.rpartition("-")[2] or 0) if node else 0
    return f"192.168.{number // 250}.{number % 250 + 4}"


@lru_cache(maxsize=4096)
def digest(text: str) -> str:
    """Return 64 hexadecimal digits, as those of an image or a container."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=32).hexdigest()
