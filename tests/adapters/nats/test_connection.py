from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
from contextlib import AsyncExitStack, suppress

import pytest

from eventproof.adapters.connect import UnknownAdapter, load
from eventproof.adapters.errors import EventproofError, Indeterminate, InvalidOption, Rejected, Unreachable
from eventproof.adapters.nats import connect, provision
from eventproof.adapters.nats.link import open_link
from eventproof.adapters.nats.options import options
from eventproof.adapters.policy import Policy
from eventproof.conformance.targets.natsserver import NatsServer


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def test_a_server_that_cannot_be_reached_is_one_clear_error(capfd):
    async def story():
        start = asyncio.get_running_loop().time()
        url = f"nats://user:secret@127.0.0.1:{free_port()}"
        with pytest.raises(Unreachable, match=r"no NATS server answers at 127\.0\.0\.1") as caught:
            async with connect(url, connect_timeout=0.5):
                pass
        assert "secret" not in str(caught.value)
        assert asyncio.get_running_loop().time() - start < 2
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(story())
    assert capfd.readouterr() == ("", "")


def test_an_address_that_never_answers_is_given_up(nats):
    async def story():
        writers = []
        silent = await asyncio.start_server(lambda _, writer: writers.append(writer), "127.0.0.1", 0)
        port = silent.sockets[0].getsockname()[1]
        with pytest.raises(Unreachable):
            async with connect(f"nats://127.0.0.1:{port}", connect_timeout=0.3):
                pass
        for writer in writers:
            writer.close()
            await writer.wait_closed()
        silent.close()

    asyncio.run(story())


@pytest.mark.parametrize(
    "options", [{"colour": "red"}, {"deadline": "soon"}, {"deadline": 0}, {"prefix": "a.b"}]
)
def test_options_that_mean_nothing_are_refused(nats, options):
    async def story():
        with pytest.raises(InvalidOption, match="nats adapter: "):
            async with connect(nats.url, **options):
                pass

    asyncio.run(story())


def test_options_may_be_text_and_prefixes_keep_topics_apart(nats):
    async def story():
        await provision(nats.url, "t", partitions=1, prefix="other")
        async with connect(nats.url, deadline="2.5", prefix="other") as broker:
            assert (await broker.publish("t", nats.event())).position == "1"
        async with connect(nats.url) as broker:
            with pytest.raises(Rejected, match="no-topic"):
                await broker.publish("t", nats.event())

    asyncio.run(story())


def test_the_adapter_without_its_client_library_says_what_to_install():
    code = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "nats":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
from eventproof.adapters.connect import UnknownAdapter, _load
from importlib.metadata import EntryPoint
for scheme in ("nats", "tls"):
    try:
        _load(EntryPoint(scheme, "eventproof.adapters.nats:connect", "eventproof.adapters"))
    except UnknownAdapter as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        f"the {scheme} adapter needs the Python module nats: pip install 'eventproof[nats]'"
        for scheme in ("nats", "tls")
    ]


def test_a_restart_in_the_middle_loses_nothing_and_is_soon_over(nats):
    async def story(server):
        await server.start()
        await provision(server.url, "t", partitions=3)
        policy = Policy(ack_timeout=2.0)
        number = 60
        async with connect(server.url) as one, connect(server.url) as two:
            seen, held = [], []

            async def publish():
                for n in range(number):
                    for _ in range(20):
                        try:
                            await one.publish("t", nats.event(n, str(n % 5)))
                            break
                        except Indeterminate:
                            continue
                    if n == number // 2:
                        await server.restart()

            async def receive(session):
                while len(set(seen)) < number:
                    delivery = await asyncio.wait_for(session.__anext__(), 5)
                    if not held:
                        held.append(delivery)
                        continue
                    await delivery.ack()
                    seen.append(delivery.event.data)

            async with two.subscribe("t", group="g", policy=policy) as session:
                start = asyncio.get_running_loop().time()
                receiving = asyncio.ensure_future(receive(session))
                await publish()
                await asyncio.wait_for(receiving, 8)
                assert asyncio.get_running_loop().time() - start < 4, (
                    "the lease of what is held, and little more"
                )
                assert set(seen) == set(range(number))

    with_own_server(story)


@pytest.mark.parametrize("lost", [ConnectionResetError(), TypeError(), asyncio.CancelledError()])
def test_nothing_runs_on_after_closing_on_a_lost_connection(nats, monkeypatch, lost):
    async def story():
        await provision(nats.url, "t", partitions=1)
        link = await stack.enter_async_context(open_link(nats.url, options({})))
        await link.client.subscribe("else", cb=link.client.publish)

        async def drain():
            raise lost

        monkeypatch.setattr(link.client._transport, "drain", drain)
        link.client._flusher_task.cancel()
        link.client._pending, link.client._pending_data_size = [b"PING\r\n"], 6
        with suppress(asyncio.CancelledError):
            await stack.aclose()
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    stack = AsyncExitStack()
    asyncio.run(story())


def test_a_waiting_member_goes_on_after_the_server_was_killed(nats):
    async def story(server):
        await server.start()
        await provision(server.url, "t", partitions=2)
        async with connect(server.url) as broker, broker.subscribe("t", group="g") as session:
            waiting = asyncio.ensure_future(session.__anext__())
            await asyncio.sleep(0.1)
            await server.stop(signal.SIGKILL)
            await server.start()
            async with connect(server.url) as other:
                await other.publish("t", nats.event(1))
            start = asyncio.get_running_loop().time()
            assert (await asyncio.wait_for(waiting, 3)).event.data == 1
            assert asyncio.get_running_loop().time() - start < 1

    with_own_server(story)


def test_who_waits_for_an_answer_is_told_when_the_connection_is_lost(nats):
    async def story(server):
        await server.start()
        await provision(server.url, "t", partitions=1)
        async with connect(server.url) as broker:
            nats.stand_still(server.pid)
            start = asyncio.get_running_loop().time()
            publishing = asyncio.ensure_future(broker.publish("t", nats.event(1)))
            await asyncio.sleep(0.05)
            await server.stop(signal.SIGKILL)
            with pytest.raises(Indeterminate, match="lost"):
                await publishing
            assert asyncio.get_running_loop().time() - start < 1

    with_own_server(story)


def test_adp_003_calls_without_a_server_end_in_time_with_an_outcome(nats):
    async def story(server):
        await server.start()
        await provision(server.url, "t", partitions=2)
        policy = Policy(dead_letter="t", ack_timeout=20)
        async with connect(server.url, deadline=0.4) as broker:
            for n in range(20):
                await broker.publish("t", nats.event(n))
            async with broker.subscribe("t", group="g", policy=policy) as session:
                first, second = [await asyncio.wait_for(session.__anext__(), 2) for _ in range(2)]
                await server.stop()
                entering = broker.subscribe("t", group="h")
                calls = [
                    broker.publish("t", nats.event(99)),
                    first.ack(),
                    second.reject("bad"),
                    entering.__aenter__(),
                ]
                for call in calls:
                    start = asyncio.get_running_loop().time()
                    with pytest.raises(EventproofError) as caught:
                        await call
                    assert isinstance(caught.value, Indeterminate)
                    assert asyncio.get_running_loop().time() - start < 0.9
                start = asyncio.get_running_loop().time()
            assert asyncio.get_running_loop().time() - start < 0.9

    with_own_server(story)


def test_a_server_without_jetstream_is_told_apart(tmp_path):
    async def story(server):
        await server.start()
        with pytest.raises(Unreachable, match="no JetStream"):
            async with connect(server.url):
                pass

    class Plain(NatsServer):
        config = NatsServer.config.partition("jetstream")[0]

    with_own_server(story, Plain)


def with_own_server(story, kind=NatsServer):
    async def run():
        server = kind()
        try:
            await story(server)
        finally:
            await server.remove()

    asyncio.run(run())


def test_the_url_scheme_finds_the_adapter():
    try:
        assert load("nats") is connect
        assert load("tls") is connect
    except UnknownAdapter:
        pytest.fail("the entry point of the nats adapter is not installed")
