"""Ports of the loopback interface that stay ours while the server that listens on them is down."""

from __future__ import annotations

import socket
import sys
from contextlib import closing
from typing import Final

HOST: Final = "127.0.0.1"


class Port:
    """A port that nobody is given in passing until `release`, and that a server of ours can listen on.

    number: -1 for any free one. Raises OSError if somebody listens on the given one.
    A socket that is bound and does not listen keeps the port: on Linux another one that may reuse the address
    can listen there nevertheless. Elsewhere it cannot, and the port is free until our server takes it.
    """

    def __init__(self, number: int = -1) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((HOST, max(number, 0)))
        except OSError as taken:
            self._socket.close()
            raise OSError(taken.errno, f"port {number} of {HOST}: {taken.strerror}") from taken
        self.number: int = self._socket.getsockname()[1]
        if sys.platform != "linux":
            self._socket.close()

    def release(self) -> None:
        self._socket.close()


def listened_on(number: int) -> bool:
    """Whether somebody accepts connections there."""
    with closing(socket.socket()) as client:
        return client.connect_ex((HOST, number)) == 0
