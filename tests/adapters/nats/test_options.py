"""Options that cannot be used are one clear error, before anything is connected."""

from __future__ import annotations

import asyncio
import re
import traceback
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from eventproof.adapters.errors import InvalidOption
from eventproof.adapters.nats import connect
from tests.adapters.nats.identities import Authority

SECRET = "hunter22"
NO_SEED = (
    f"-----BEGIN NATS USER JWT-----\n{SECRET}\n------\n-----BEGIN USER NKEY SEED-----\n{SECRET}\n------\n"
)
URL = "nats://127.0.0.1:1"


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECRET", SECRET)
    _, key = Authority(tmp_path).certificate("me")
    Path("locked.pem").write_bytes(
        load_pem_private_key(Path(key).read_bytes(), None).private_bytes(
            Encoding.PEM, PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(SECRET.encode())
        )
    )
    Path("wrong").write_text(SECRET)
    Path("binary").write_bytes(b"\xff\x00")
    Path("no-seed").write_text(NO_SEED)


async def refused(url, **given):
    with pytest.raises(InvalidOption) as caught:
        async with connect(url, **given):
            pass
    return caught.value


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"user": "joe"}, "user needs password too"),
        ({"password": "env:SECRET"}, "password needs user too"),
        ({"tls_cert": "me-cert.pem"}, "tls_cert needs tls_key too"),
        ({"tls_key": "me-key.pem"}, "tls_key needs tls_cert too"),
        ({"user": "joe", "password": "env:P", "token": "env:T"}, "user and token are two ways"),
        ({"nkey": "env:N", "credentials": "c"}, "nkey and credentials are two ways"),
        ({"password": SECRET, "user": "joe"}, "password is a secret: give env:NAME or file:PATH"),
        ({"token": SECRET}, "token is a secret: give env:NAME or file:PATH"),
        ({"nkey": SECRET}, "nkey is a secret: give env:NAME or file:PATH"),
        ({"nkey": "env:SECRET"}, "nkey: that is no seed of an nkey"),
        ({"credentials": "none"}, "credentials: the file none cannot be read"),
        ({"credentials": "binary"}, "credentials: the file binary cannot be read"),
        ({"credentials": "wrong"}, "credentials: wrong is no .creds file with a user's JWT and seed"),
        ({"credentials": "no-seed"}, "credentials: no-seed: that is no seed of an nkey"),
        ({"tls_ca": "none"}, "tls_ca: none cannot be used: No such file or directory"),
        ({"tls_ca": "wrong"}, "tls_ca: wrong cannot be used: no valid PEM"),
        ({"tls_cert": "me-cert.pem", "tls_key": "none"}, "tls_cert, tls_key: me-cert.pem, none cannot"),
        ({"tls_cert": "me-cert.pem", "tls_key": "locked.pem"}, "tls_key is encrypted: give one without"),
        ({"tls_cert": "me-cert.pem", "tls_key": "ca.pem"}, "ca.pem cannot be used: no valid PEM"),
        ({"inbox": "a b"}, "inbox 'a b' must be a subject without wildcards"),
        ({"inbox": "a.>"}, "inbox 'a.>' must be a subject without wildcards"),
        ({"inbox": ""}, "inbox '' must be a subject without wildcards"),
        ({"mode": "xml"}, "Invalid enum value 'xml'"),
    ],
)  # fmt: skip
def test_options_that_cannot_be_used(given, said):
    error = asyncio.run(refused(URL, **given))
    assert re.match(f"nats adapter: .*{re.escape(said)}|{re.escape(said)}", str(error))
    assert SECRET not in "".join(traceback.format_exception(error))


@pytest.mark.parametrize(
    "url", ["nats://", "nats:", "127.0.0.1:4222", "ws://127.0.0.1", "nats://127.0.0.1:99999", "nats://[::1"]
)
def test_an_url_that_cannot_be_used(url):
    assert "is not nats://HOST:PORT or tls://HOST:PORT" in str(asyncio.run(refused(url)))


def test_two_ways_to_authenticate_of_which_one_is_in_the_url():
    said = str(asyncio.run(refused("nats://joe:hunter22@127.0.0.1:1", token="env:SECRET")))
    assert said == "nats adapter: the URL and token are two ways to authenticate: give one"
