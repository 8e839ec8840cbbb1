"""Keys, tokens and certificates for servers of the tests, made anew for each run."""

from __future__ import annotations

import json
import os
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any

import nkeys
import trustme

UNLIMITED = -1


class Key:
    """An nkey: seed, public key and signature."""

    def __init__(self, prefix: int) -> None:
        self.seed = nkeys.encode_seed(os.urandom(32), prefix).decode()
        self._pair = nkeys.from_seed(bytearray(self.seed.encode()))
        self.public = self._pair.public_key.decode()

    def token(self, subject: Key, name: str, claims: dict[str, Any]) -> str:
        """A JWT about `subject`, signed with this key."""
        document = {"iss": self.public, "sub": subject.public, "name": name, "iat": 1_700_000_000}
        document["nats"] = {**claims, "version": 2}
        signed = ".".join(map(_part, ({"typ": "JWT", "alg": "ed25519-nkey"}, document)))
        return f"{signed}.{_text(self._pair.sign(signed.encode()))}"


def user_key() -> Key:
    return Key(nkeys.PREFIX_BYTE_USER)


class Operator:
    """A server's operator with one account that has JetStream."""

    def __init__(self) -> None:
        self._key, self._account, system = (
            Key(prefix)
            for prefix in (nkeys.PREFIX_BYTE_OPERATOR, nkeys.PREFIX_BYTE_ACCOUNT, nkeys.PREFIX_BYTE_ACCOUNT)
        )
        limits = dict.fromkeys(
            ("subs", "data", "payload", "imports", "exports", "conn", "leaf", "mem_storage", "disk_storage",
             "streams", "consumer"), UNLIMITED,
        ) | {"wildcards": True}  # fmt: skip
        accounts = {
            self._account.public: self._key.token(self._account, "A", {"type": "account", "limits": limits}),
            system.public: self._key.token(system, "S", {"type": "account", "limits": {"conn": UNLIMITED}}),
        }
        preload = "\n".join(f'  {public}: "{token}"' for public, token in accounts.items())
        self.config = f"""
operator: "{self._key.token(self._key, "O", {"type": "operator", "system_account": system.public})}"
system_account: "{system.public}"
resolver: MEMORY
resolver_preload: {{
{preload}
}}
"""

    def credentials(self, path: Path, *, seed: str | None = None) -> str:
        """Write a `.creds` file for a new user; seed: of another user than the token is about."""
        user = user_key()
        unlimited = {"subs": UNLIMITED, "data": UNLIMITED, "payload": UNLIMITED}
        token = self._account.token(user, "U", {"type": "user", **unlimited})
        path.write_text(
            f"-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{seed or user.seed}\n------END USER NKEY SEED------\n"
        )
        return str(path)


class Authority:
    """A certificate authority of our own, and what it issued, as files."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._ca = trustme.CA()
        self.ca = str(folder / "ca.pem")
        self._ca.cert_pem.write_to_path(self.ca)

    def certificate(self, *names: str) -> tuple[str, str]:
        """Paths of a new certificate and of its key."""
        issued = self._ca.issue_cert(*names)
        paths = [str(self._folder / f"{names[0]}-{part}.pem") for part in ("cert", "key")]
        issued.cert_chain_pems[0].write_to_path(paths[0])
        issued.private_key_pem.write_to_path(paths[1])
        return paths[0], paths[1]

    def server(self, *names: str, verify: bool = False) -> str:
        """Configuration of a server with a certificate for these names; verify: clients need one too."""
        cert, key = self.certificate(*names)
        return f"""
tls {{
  cert_file: "{cert}"
  key_file: "{key}"
  ca_file: "{self.ca}"
  verify: {str(verify).lower()}
}}
"""


def _part(document: dict[str, Any]) -> str:
    return _text(json.dumps(document).encode())


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")
