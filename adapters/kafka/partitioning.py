"""Which partition an event belongs to: the one that every Kafka client with default settings chooses.

A keyed event goes where its key goes. An event without a key goes where its identity would, set by us, since
its record has no key: so the copies of an event meet in one partition, where they can be told apart.
"""

from __future__ import annotations

from functools import lru_cache
from struct import unpack_from
from typing import Final

_SEED: Final = 0x9747B28C
_FACTOR: Final = 0x5BD1E995
_SHIFT: Final = 24
_WORD: Final = 0xFFFFFFFF


def partition(spread: bytes, count: int) -> int:
    """The partition of a key among so many."""
    return (_positive_hash(spread)) % count


@lru_cache(maxsize=4096)
def _positive_hash(key: bytes) -> int:
    return murmur2(key) & 0x7FFFFFFF


def murmur2(data: bytes) -> int:
    """MurmurHash2 with the seed that Kafka's clients have, as an unsigned number of 32 bits."""
    words, rest = divmod(len(data), 4)
    mixed = _SEED ^ len(data)
    for word in unpack_from(f"<{words}I", data):
        scrambled = word * _FACTOR & _WORD
        scrambled = (scrambled ^ scrambled >> _SHIFT) * _FACTOR & _WORD
        mixed = mixed * _FACTOR & _WORD ^ scrambled
    if rest:
        mixed = (mixed ^ int.from_bytes(data[-rest:], "little")) * _FACTOR & _WORD
    mixed = (mixed ^ mixed >> 13) * _FACTOR & _WORD
    return mixed ^ mixed >> 15
