"""Ports that stay ours while nobody listens on them."""

from __future__ import annotations

import socket
import sys

import pytest

from eventproof.conformance.targets.ports import HOST, Port, listened_on


def test_a_port_of_ours_is_given_to_nobody_else_in_passing() -> None:
    port = Port()
    try:
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind((HOST, port.number))
        assert not listened_on(port.number)
    finally:
        port.release()
    with socket.socket() as other:
        other.bind((HOST, port.number))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the port is free until it is taken")
def test_a_server_that_may_reuse_the_address_listens_there_again_and_again() -> None:
    port = Port()
    for _ in range(2):
        with socket.create_server((HOST, port.number)):
            assert listened_on(port.number)
        assert not listened_on(port.number)
    port.release()


def test_a_port_on_which_somebody_listens_is_refused() -> None:
    with socket.create_server((HOST, 0)) as other:
        number = other.getsockname()[1]
        with pytest.raises(OSError, match=f"port {number} of {HOST}: Address already in use"):
            Port(number)
