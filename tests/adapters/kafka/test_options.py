"""Options and URLs that cannot be used are one clear error, before anything is connected."""

from __future__ import annotations

import asyncio
import re

import pytest

from eventproof.adapters.errors import InvalidOption
from eventproof.adapters.kafka import connect
from eventproof.adapters.kafka.options import Options, options, servers

URL = "kafka://127.0.0.1:1"


async def refused(url, **given):
    with pytest.raises(InvalidOption) as caught:
        async with connect(url, **given):
            pass
    return str(caught.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"deadline": 0}, "must be above 0"),
        ({"connect_timeout": -1}, "must be above 0"),
        ({"session_timeout": 0}, "must be above 0"),
        ({"window": -1}, "window must be 0 or more"),
        ({"prefix": ""}, "prefix '' must be 1 to 60 of A-Z, a-z, 0-9 and -"),
        ({"prefix": "a_b"}, "prefix 'a_b' must be"),
        ({"prefix": "a.b"}, "prefix 'a.b' must be"),
        ({"prefix": "x" * 61}, "must be 1 to 60"),
        ({"mode": "xml"}, "Invalid enum value 'xml'"),
        ({"deadline": "soon"}, "Expected `float`"),
        ({"acks": "0"}, "unknown field `acks`"),
    ],
)
def test_options_that_cannot_be_used(given, said):
    told = asyncio.run(refused(URL, **given))
    assert re.match(f"kafka adapter: .*{re.escape(said)}", told)


def test_numbers_may_be_text():
    assert options({"deadline": "2.5", "window": "0"}) == Options(deadline=2.5, window=0)


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("kafka://host", ["host:9092"]),
        ("kafka://host:1/", ["host:1"]),
        ("kafka://a:1,b,c:3", ["a:1", "b:9092", "c:3"]),
        ("kafka://[::1]:1,[::2]", ["[::1]:1", "[::2]:9092"]),
    ],
)
def test_an_url_names_the_brokers_to_ask_first(url, found):
    assert servers(url) == found


@pytest.mark.parametrize(
    "url",
    [
        "kafka://",
        "kafka:",
        "127.0.0.1:9092",
        "nats://127.0.0.1",
        "kafka://127.0.0.1:99999",
        "kafka://[::1",
        "kafka://a,,b",
        "kafka://a,",
        "kafka://a b",
        "kafka://a/topic",
        "kafka://a?acks=0",
        "kafka://a#b",
    ],
)
def test_an_url_that_cannot_be_used(url):
    assert asyncio.run(refused(url)) == f"kafka adapter: {url} is not kafka://HOST:PORT[,HOST:PORT...]"


@pytest.mark.parametrize(
    "url", ["kafka://joe:hunter22", "kafka://a:1,joe:hunter22/t", "kafka://joe:1hunter22"]
)
def test_a_port_that_is_no_number_may_be_a_secret(url):
    told = asyncio.run(refused(url))
    assert "joe:***" in told
    assert not re.search("hun|er22", told)


@pytest.mark.parametrize(
    "url",
    [
        "kafka://joe:hunter22@host:1",
        "kafka://joe:hunter22@",
        "kafka://joe:hunter22@[::1",
        "kafka://joe:hunt@er22@host",
        "kafka://joe:hun/ter22@host",
        "kafka://joe:#hunter22@host",
        "kafka://a:1,joe:hunter22@b:2",
    ],
)
def test_a_secret_in_an_url_is_refused_and_not_shown(url):
    told = asyncio.run(refused(url))
    assert told.startswith("kafka adapter: kafka://***@")
    assert not re.search("hun|er22|joe", told)
