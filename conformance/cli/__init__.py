"""The command `eventproof`."""

from eventproof.conformance.cli.main import main

__all__ = ["main"]
