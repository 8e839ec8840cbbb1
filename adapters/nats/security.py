"""Who we are to the server, and whether it is the one we mean: credentials and TLS.

What is secret is known to `adapters.secret` before the client library sees it, so that nothing written from
here on shows it.
"""

from __future__ import annotations

import re
import ssl
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import nats.errors
import nkeys
from nats.aio.client import Client, Srv

from eventproof.adapters.errors import InvalidOption
from eventproof.adapters.nats.options import Options
from eventproof.adapters.secret import hide, redacted, resolve

_SCHEMES: Final = ("nats", "tls")
_JWT: Final = re.compile(r"-----BEGIN NATS USER JWT-----\s+(\S+)\s")
_SEED: Final = re.compile(r"-----BEGIN USER NKEY SEED-----\s+(\S+)\s")


class NoTls(nats.errors.SecureConnWantedError):
    """The server does not ask for TLS."""

    def __str__(self) -> str:
        return "it speaks no TLS, which the URL or an option asks for"


class SecureClient(Client):
    """The client library's client; with `tls` it says nothing to a server that does not speak TLS.

    By itself it goes on in plain text then, and sends the credentials so. It also leaves the connections of
    failed attempts open.
    """

    def __init__(self, *, tls: bool) -> None:
        super().__init__()
        self._tls = tls

    def _connect_command(self) -> bytes:
        if self._tls and not self._server_info.get("tls_required"):
            raise NoTls
        return super()._connect_command()

    async def _connect_to_server(self, s: Srv) -> None:
        if self._transport is not None:
            self._transport.close()  # type: ignore[no-untyped-call]
        await super()._connect_to_server(s)


def address(url: str, options: Options) -> str:
    """The URL as the client library takes it; a secret in it is hidden from now on. Raises InvalidOption."""
    userinfo = url.rpartition("@")[0].partition("://")[2]
    user, colon, password = userinfo.partition(":")
    hide(userinfo)
    hide(password if colon else user)
    try:
        parts = urlsplit(url)
        fit = parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fit = False
    if not fit:
        raise InvalidOption(f"nats adapter: {redacted(url)} is not nats://HOST:PORT or tls://HOST:PORT")
    if userinfo and options.identities:
        raise InvalidOption(
            f"nats adapter: the URL and {options.identities[0]} are two ways to authenticate: give one"
        )
    return urlunsplit(urlsplit(url))  # its scheme in lower case


def wants_tls(url: str, options: Options) -> bool:
    return options.tls or urlsplit(url).scheme == "tls"


def arguments(url: str, options: Options) -> dict[str, Any]:
    """What `Client.connect` is given for it. Raises InvalidOption for what cannot be read or used."""
    given: dict[str, Any] = {"tls_hostname": options.tls_hostname}
    if wants_tls(url, options):
        given["tls"] = _context(options)
    if options.user is not None:
        given |= {"user": options.user, "password": resolve(options.password or "", "password")}
    if options.token is not None:
        given["token"] = resolve(options.token, "token")
    if options.nkey is not None:
        given["nkeys_seed_str"] = _checked(resolve(options.nkey, "nkey"), "nkey")
    if options.credentials is not None:
        given |= _credentials(options.credentials)
    return given


def _context(options: Options) -> ssl.SSLContext:
    """Certificates and names are always verified."""
    try:
        context = ssl.create_default_context(cafile=options.tls_ca)
    except OSError as problem:
        raise InvalidOption(_unusable("tls_ca", options.tls_ca, problem)) from problem
    if options.tls_cert is not None:
        try:
            context.load_cert_chain(options.tls_cert, options.tls_key, password=_no_passphrase)
        except OSError as problem:
            raise InvalidOption(
                _unusable("tls_cert, tls_key", f"{options.tls_cert}, {options.tls_key}", problem)
            ) from problem
    return context


def _no_passphrase() -> str:
    """Asked for an encrypted key; without an answer the library would ask at the terminal."""
    raise InvalidOption("nats adapter: tls_key is encrypted: give one without a passphrase")


def _unusable(option: str, path: str | None, problem: OSError) -> str:
    reason = "no valid PEM" if isinstance(problem, ssl.SSLError) else problem.strerror
    return f"nats adapter: {option}: {path} cannot be used: {reason}"


def _credentials(path: str) -> dict[str, Callable[..., bytes]]:
    """The file is read for each connection, since its token is renewed from time to time; the client's own
    reader never returns from a file that has none."""
    _read(path)

    def again() -> tuple[str, str]:
        try:
            return _read(path)
        except InvalidOption as problem:  # the client would never try again after an error not its own
            raise nats.errors.Error(str(problem)) from problem

    def token() -> bytes:
        return again()[0].encode()

    def signature(nonce: str) -> bytes:
        return b64encode(nkeys.from_seed(bytearray(again()[1].encode())).sign(nonce.encode()))

    return {"user_jwt_cb": token, "signature_cb": signature}


def _read(path: str) -> tuple[str, str]:
    """The user's token and seed in a `.creds` file. Raises InvalidOption."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise InvalidOption(f"nats adapter: credentials: the file {path} cannot be read") from problem
    token, seed = _JWT.search(text), _SEED.search(text)
    if token is None or seed is None:
        raise InvalidOption(f"nats adapter: credentials: {path} is no .creds file with a user's JWT and seed")
    hide(token[1])
    hide(seed[1])
    return token[1], _checked(seed[1], f"credentials: {path}")


def _checked(seed: str, option: str) -> str:
    try:
        nkeys.from_seed(bytearray(seed.encode()))
    except (nkeys.NkeysError, ValueError) as problem:
        raise InvalidOption(f"nats adapter: {option}: that is no seed of an nkey (SU...)") from problem
    return seed
