"""How the libraries that adapters use are kept from telling secrets in what they log."""

from __future__ import annotations

import logging

from eventproof.adapters.secret import redacted


class Redacted(logging.Formatter):
    """What libraries say when nobody listens to them."""

    def format(self, record: logging.LogRecord) -> str:
        return redacted(super().format(record))
