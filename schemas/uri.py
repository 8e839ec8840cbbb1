"""RFC 3986: is a text a URI, or a URI-reference?

Own code because an event is checked each time one is built, and loading the JSON Schema library for
its format check would more than double what importing an adapter costs. A test compares the two.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address

_REG_NAME = r"(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})*"
_USER_INFO = r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:]|%[0-9A-Fa-f]{2})*"
_PATH = r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})*"
_QUERY = r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?]|%[0-9A-Fa-f]{2})*"
_AUTHORITY = rf"(?:{_USER_INFO}@)?(?:\[(?P<literal>[^\]]*)\]|{_REG_NAME})(?::[0-9]*)?"
_REFERENCE = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]*:)?"
    rf"(?://{_AUTHORITY}(?:/{_PATH})?|(?!//)(?(scheme)|(?![^/?#]*:)){_PATH})"
    rf"(?:\?{_QUERY})?(?:#{_QUERY})?"
)
_FUTURE = re.compile(r"v[0-9A-Fa-f]+\.[A-Za-z0-9\-._~!$&'()*+,;=:]+")


@lru_cache(maxsize=1024)
def is_reference(text: str) -> bool:
    """Whether `text` is a URI-reference: a URI or a relative reference. The empty text is one."""
    found = _REFERENCE.fullmatch(text)
    return found is not None and _is_literal(found["literal"])


@lru_cache(maxsize=1024)
def is_uri(text: str) -> bool:
    """Whether `text` is a URI, which has a scheme."""
    found = _REFERENCE.fullmatch(text)
    return found is not None and found["scheme"] is not None and _is_literal(found["literal"])


def _is_literal(address: str | None) -> bool:
    if address is None or _FUTURE.fullmatch(address):
        return True
    try:
        IPv6Address(address)
    except AddressValueError:
        return False
    return "%" not in address  # a zone is no part of RFC 3986
