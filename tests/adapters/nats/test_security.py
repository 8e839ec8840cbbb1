"""Servers that want to know who we are, and that show who they are: right and wrong, on real ones."""

from __future__ import annotations

import asyncio
import logging
import traceback
from contextlib import asynccontextmanager
from itertools import count

import pytest

from eventproof.adapters.connect import connect as connect_by_scheme
from eventproof.adapters.errors import InvalidOption, Unreachable
from eventproof.adapters.nats import connect, provision
from eventproof.adapters.nats.options import Options
from eventproof.conformance.targets.natsserver import NatsServer
from eventproof.schemas.event import Event
from tests.adapters.nats.identities import Authority, Operator, user_key

SOON = 2.0  # seconds, of the 5 that the tests allow for an answer
EVENT = Event(source="/tests", type="a.b", id="1", data=1)
_numbers = count(1)


@asynccontextmanager
async def serving(extra):
    server = NatsServer(extra=extra)
    try:
        await server.start()
        yield server
    finally:
        await server.remove()


async def works(url, **options):
    """Publish and consume under these options."""
    topic = f"topic {next(_numbers)}"
    await provision(url, topic, partitions=1, **options)
    async with connect(url, **options) as broker:
        await broker.publish(topic, EVENT)
        async with broker.subscribe(topic, group="g") as session:
            delivery = await asyncio.wait_for(session.__anext__(), 5)
            await delivery.ack()
            assert delivery.event == EVENT


async def refused(url, **options):
    """The one error that a wrong identity gives, and soon."""
    start = asyncio.get_running_loop().time()
    with pytest.raises(Unreachable) as caught:
        async with connect(url, connect_timeout=5, **options):
            pass
    assert asyncio.get_running_loop().time() - start < SOON
    assert asyncio.all_tasks() == {asyncio.current_task()}
    return str(caught.value)


class Way:
    """A server and the options that it takes, and some that it does not."""

    def __init__(self, kind, folder, setenv):
        self.secrets = ["sesame-right", "sesame-wrong"]
        setenv("RIGHT", self.secrets[0])
        (folder / "wrong").write_text(f"{self.secrets[1]}\n")
        right, wrong = "env:RIGHT", f"file:{folder}/wrong"
        getattr(self, kind)(folder, setenv, right, wrong)

    def password(self, folder, setenv, right, wrong):
        self.extra = "authorization { user: joe, password: sesame-right }\n"
        self.right, self.wrong = {"user": "joe", "password": right}, {"user": "joe", "password": wrong}

    def token(self, folder, setenv, right, wrong):
        self.extra = "authorization { token: sesame-right }\n"
        self.right, self.wrong = {"token": right}, {"token": wrong}

    def nkey(self, folder, setenv, right, wrong):
        known, unknown = user_key(), user_key()
        self.secrets = [known.seed, unknown.seed]
        setenv("RIGHT", known.seed)
        (folder / "wrong").write_text(unknown.seed)
        self.extra = f"authorization {{ users: [ {{ nkey: {known.public} }} ] }}\n"
        self.right, self.wrong = {"nkey": right}, {"nkey": wrong}

    def credentials(self, folder, setenv, right, wrong):
        operator, other = Operator(), user_key()
        self.extra = operator.config
        self.right = {"credentials": operator.credentials(folder / "right.creds")}
        self.wrong = {"credentials": operator.credentials(folder / "wrong.creds", seed=other.seed)}
        lines = (folder / "right.creds").read_text().splitlines()
        self.secrets = [other.seed, *(line for line in lines if line and "-----" not in line)]


WAYS = ["password", "token", "nkey", "credentials"]


@pytest.fixture
def way(request, tmp_path, monkeypatch):
    return Way(request.param, tmp_path, monkeypatch.setenv)


@pytest.mark.parametrize("way", WAYS, indirect=True)
def test_the_right_credentials_open_and_the_wrong_ones_do_not(way):
    async def story():
        async with serving(way.extra) as server:
            await works(server.url, **way.right)
            for options in (way.wrong, {}):
                said = await refused(server.url, **options)
                address = server.url.partition("//")[2]
                assert said == f"the NATS server at {address} refuses us: Authorization Violation"

    asyncio.run(story())


@pytest.mark.parametrize("way", WAYS, indirect=True)
def test_they_are_given_again_after_a_restart(way):
    async def story():
        async with serving(way.extra) as server:
            await provision(server.url, "t", partitions=1, **way.right)
            async with connect(server.url, **way.right) as broker:
                await server.restart()
                await asyncio.wait_for(broker._link.ready(), 5)
                await broker.publish("t", EVENT)

    asyncio.run(story())


class Until(logging.Filter):
    """Sets an event when a text is logged."""

    def __init__(self, text):
        super().__init__()
        self.text, self.came = text, asyncio.Event()

    def filter(self, record):
        if self.text in record.getMessage():
            self.came.set()
        return True


def test_renewed_credentials_are_read_for_the_next_connection_and_broken_ones_waited_out(tmp_path, caplog):
    async def story():
        operator, path = Operator(), tmp_path / "me.creds"
        operator.credentials(path)
        complaint = Until("me.creds is no .creds file")
        log = logging.getLogger("eventproof.adapters.nats")
        log.addFilter(complaint)
        async with serving(operator.config) as server:
            await provision(server.url, "t", partitions=1, credentials=str(path))
            async with connect(server.url, credentials=str(path)) as broker:
                path.write_text("broken")
                await server.restart()
                await complaint.came.wait()
                assert not broker._link.client.is_connected
                operator.credentials(path)
                await broker._link.ready()
                await broker.publish("t", EVENT)
        log.removeFilter(complaint)

    caplog.set_level(logging.INFO)
    asyncio.run(asyncio.wait_for(story(), 20))


@pytest.mark.parametrize("userinfo", ["joe:sesame-right", "tok"])
def test_the_url_may_hold_them(userinfo):
    async def story():
        user, _, password = userinfo.partition(":")
        wanted = f"user: {user}, password: {password}" if password else f"token: {user}"
        async with serving(f"authorization {{ {wanted} }}\n") as server:
            await works(server.url.replace("//", f"//{userinfo}@"))
            with pytest.raises(InvalidOption, match="the URL and token are two ways to authenticate"):
                await works(server.url.replace("//", f"//{userinfo}@"), token="env:HOME")

    asyncio.run(story())


def test_tls_with_an_authority_of_ones_own(tmp_path):
    async def story():
        ours, theirs = Authority(tmp_path / "ours"), Authority(tmp_path / "theirs")
        async with serving(ours.server("127.0.0.1", "broker.test")) as server:
            await works(server.url, tls_ca=ours.ca)
            await works(server.url.replace("nats:", "tls:"), tls_ca=ours.ca, tls_hostname="broker.test")
            async with connect_by_scheme(server.url.replace("nats:", "tls:"), tls_ca=ours.ca) as broker:
                assert broker.claims.flow.max_payload
            unknown = "TLS: certificate verify failed: unable to get local issuer certificate"
            assert unknown in await refused(server.url, tls_ca=theirs.ca)
            assert unknown in await refused(server.url)
            assert unknown in await refused(server.url.replace("nats:", "tls:"))
            other = await refused(server.url, tls_ca=ours.ca, tls_hostname="other.test")
            assert other.endswith("Hostname mismatch, certificate is not valid for 'other.test'.")

    asyncio.run(story())


def test_mutual_tls(tmp_path):
    async def story():
        ours, theirs = Authority(tmp_path / "ours"), Authority(tmp_path / "theirs")
        mine, foreign = ours.certificate("me.test"), theirs.certificate("me.test")
        async with serving(ours.server("127.0.0.1", verify=True)) as server:
            await works(server.url, tls_ca=ours.ca, tls_cert=mine[0], tls_key=mine[1])
            assert "certificate required" in await refused(server.url, tls_ca=ours.ca)
            said = await refused(server.url, tls_ca=ours.ca, tls_cert=foreign[0], tls_key=foreign[1])
            assert "unknown ca" in said

    asyncio.run(story())


@pytest.mark.parametrize("asking", [{"tls_hostname": "broker.test"}, {"url": "tls:"}, {"url": "TLS:"}])
def test_nothing_is_said_to_a_server_without_tls_that_was_asked_for(asking, monkeypatch):
    """The client library alone would go on in plain text and send the password so."""
    heard = []

    async def plain(reader, writer):
        writer.write(b'INFO {"server_id":"x","version":"2.10.0","headers":true,"max_payload":1048576}\r\n')
        heard.append(await reader.read(1000))
        writer.close()

    async def story():
        monkeypatch.setenv("PASSWORD", "sesame-right")
        wanted = {"user": "joe", "password": "env:PASSWORD"}
        listener = await asyncio.start_server(plain, "127.0.0.1", 0)
        scheme, options = asking.get("url", "nats:"), {k: v for k, v in asking.items() if k != "url"}
        url = f"{scheme}//127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        assert "refuses us: it speaks no TLS" in await refused(url, **wanted, **options)
        listener.close()
        await listener.wait_closed()
        async with serving("authorization { user: joe, password: sesame-right }\n") as server:
            url = scheme + server.url.partition(":")[2]
            assert "refuses us: it speaks no TLS" in await refused(url, **wanted, **options)

    asyncio.run(story())
    assert heard
    assert set(heard) == {b""}


class Everything(logging.Handler):
    """All that is logged, as the most talkative formatter would write it."""

    def __init__(self):
        super().__init__(logging.DEBUG)
        self.texts = []

    def emit(self, record):
        self.texts.append(f"{self.format(record)} {record.args!r}")


@pytest.fixture
def logged():
    handler, root = Everything(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler.texts
    root.setLevel(level)
    root.removeHandler(handler)


@pytest.mark.parametrize("way", WAYS, indirect=True)
def test_no_secret_is_written_anywhere(way, logged):
    async def story():
        written = [repr(Options(**way.right)), repr(Options(**way.wrong))]
        async with serving(way.extra) as server:
            await works(server.url, **way.right)
            async with connect(server.url, **way.right) as broker:
                written += [repr(broker), repr(broker._link), repr(broker.claims)]
                await server.restart()
            written.append(await told(server.url, **way.wrong))
            url = server.url
        return [*written, await told(url, connect_timeout=0.3, **way.right)]

    written = asyncio.run(story(), debug=True)
    assert len(logged) > 10
    for secret in way.secrets:
        assert secret not in "\n".join([*written, *logged])


@pytest.mark.parametrize(
    "userinfo",
    ["joe:sesame-wrong", "sesame-wrong", "joe:sesame#wrong", "joe:sesame/wrong", "joe:ses@me-wrong:"],
)
def test_no_secret_of_a_url_is_written_anywhere(userinfo, logged):
    async def story():
        async with serving("authorization { token: sesame-right }\n") as server:
            return await told(server.url.replace("//", f"//{userinfo}@"), connect_timeout=1)

    everything = "\n".join([asyncio.run(story(), debug=True), *logged])
    assert "sesame" not in everything
    assert "wrong" not in everything


async def told(url, **options):
    """The error with all that a traceback shows of it."""
    with pytest.raises((Unreachable, InvalidOption)) as caught:
        async with connect(url, **options):
            pass
    return "".join(traceback.format_exception(caught.value)) + repr(caught.value)
