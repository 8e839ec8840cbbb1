"""What the server and the client library say when something fails, in one line and without secrets."""

from __future__ import annotations

import re
import ssl
import traceback
from typing import Final

import nats.errors

from eventproof.adapters.secret import redacted

_FORBIDDEN: Final = re.compile(r'permissions violation for (publish|subscription) to "([^"]*)"')
_OPENSSL: Final = re.compile(r"^\[[^]]*\] | ?\(_ssl\.c:\d+\)$")


def told(error: Exception) -> str:
    """What is wrong, for people."""
    text = redacted(str(error)) or type(error).__name__
    if isinstance(error, ssl.SSLError):
        return f"TLS: {_OPENSSL.sub('', text)}"
    return text.removeprefix("nats: ").strip("'")


def told_in_full(error: Exception) -> str:
    """With its traceback."""
    return redacted("".join(traceback.format_exception(type(error), error, error.__traceback__)))


def refuses(error: Exception) -> bool:
    """Whether the server or our own care refuses to go on. A network may recover; this does not by itself."""
    if isinstance(error, (ssl.SSLError, nats.errors.SecureConnWantedError)):
        return True
    return type(error) is nats.errors.Error and str(error).startswith("nats: '")  # its -ERR comes in quotes


def forbidden(words: str) -> tuple[str, str] | None:
    """`publish` or `subscription`, and the subject (in lower case) that the user has no permission for."""
    found = _FORBIDDEN.search(words)
    return None if found is None else (found[1], found[2])
