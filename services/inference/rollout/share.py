"""Which keys belong to the share of a canary or shadow. Pure, and the same on every server."""

from __future__ import annotations

from hashlib import blake2b


def is_in_share(key: str, *, model: str, version: str, share: float) -> bool:
    """Whether a key belongs to the share. A larger share of the same version has all keys of a smaller one.

    The key is hashed with model and version, by BLAKE2b (RFC 7693) to 64 bits: another version gets other keys, so that it is not
    always the same clients who get a new one.

    >>> [key for key in "abcdefgh" if is_in_share(key, model="toy", version="v2", share=0.25)]
    ['a', 'c', 'g']
    >>> [key for key in "abcdefgh" if is_in_share(key, model="toy", version="v2", share=0.75)]
    ['a', 'b', 'c', 'd', 'e', 'f', 'g']
    """
    digest = blake2b(f"{model}\0{version}\0{key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") < share * 2.0**64
