"""Finding an adapter by the scheme of a URL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import pytest

import eventproof
from eventproof import adapters
from eventproof.adapters import connect as connecting
from eventproof.adapters.connect import GROUP, UnknownAdapter, connect, load
from eventproof.adapters.errors import EventproofError
from eventproof.adapters.memory import connect as connect_memory
from eventproof.schemas.event import Event
from tests.adapters.virtual import virtual


@asynccontextmanager
async def theirs(url: str, **options: Any) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """Somebody else's adapter: shows what it was given."""
    yield url, options


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch):
    """Make these the installed adapters, by scheme."""

    def install(**values: str) -> None:
        points = EntryPoints(EntryPoint(name, value, GROUP) for name, value in values.items())
        monkeypatch.setattr(connecting, "entry_points", lambda *, group: points.select(group=group))

    return install


@virtual
async def test_the_scheme_picks_the_adapter() -> None:
    assert load("memory") is connect_memory
    sent = Event(source="/tests", type="t")
    async with (
        eventproof.connect("memory://connect", partitions=1) as broker,
        broker.subscribe("orders", group="a") as subscription,
    ):
        assert (await broker.publish("orders", sent)).partition == 0
        async for delivery in subscription:
            async with delivery as event:
                assert event == sent
            break


def test_an_adapter_of_a_third_party_is_found_alike_and_given_the_options(installed) -> None:
    installed(pulsar=f"{__name__}:theirs")

    async def opened() -> tuple[str, dict[str, Any]]:
        async with connect("pulsar://host:6650/tenant", token_file="t", depth=3) as seen:
            return seen

    assert asyncio.run(opened()) == ("pulsar://host:6650/tenant", {"token_file": "t", "depth": 3})


@pytest.mark.parametrize(("url", "shown"), [("amqp://h", "amqp"), ("host:4222", "host"), ("h", "an empty")])
def test_an_unknown_scheme_names_those_that_are_known(url: str, shown: str, installed) -> None:
    installed(zeta="z:connect", alpha="a:connect")
    with pytest.raises(UnknownAdapter) as refusal:
        connect(url)
    assert str(refusal.value) == f"no adapter for {shown} URL scheme; installed: alpha, zeta"
    assert isinstance(refusal.value, EventproofError)


def test_our_own_adapter_without_its_client_names_the_extra(
    installed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "pulsar.py").write_text("import no_such_client\n")
    monkeypatch.setattr(adapters, "__path__", [*adapters.__path__, str(tmp_path)])
    installed(pulsar="eventproof.adapters.pulsar:connect")
    with pytest.raises(UnknownAdapter) as refusal:
        connect("pulsar://host")
    line = "the pulsar adapter needs the Python module no_such_client: pip install 'eventproof[pulsar]'"
    assert str(refusal.value) == line


def test_a_third_partys_adapter_without_its_client_names_no_extra_of_ours(installed) -> None:
    installed(pulsar="no_such_adapter.broker:connect")
    with pytest.raises(UnknownAdapter) as refusal:
        connect("pulsar://host")
    assert str(refusal.value) == "the pulsar adapter needs the Python module no_such_adapter"


def test_a_module_of_ours_that_is_missing_is_our_bug_and_no_missing_client(installed) -> None:
    installed(pulsar="eventproof.adapters.no_such_adapter:connect")
    with pytest.raises(ModuleNotFoundError):
        connect("pulsar://host")
