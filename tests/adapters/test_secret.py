"""Secrets come by reference, and are in nothing that is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from eventproof.adapters.errors import InvalidOption
from eventproof.adapters.secret import MASK, hide, redacted, resolve


def test_a_secret_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKER_TOKEN", "from-the-environment\n")
    assert resolve("env:BROKER_TOKEN", "token") == "from-the-environment"
    assert redacted("refused: from-the-environment.") == f"refused: {MASK}."


def test_a_secret_is_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-a-file\n")
    assert resolve(f"file:{tmp_path}/token", "token") == "from-a-file"


@pytest.mark.parametrize("given", ["swordfish", "env:", "file:", "", "ENV:X", "https://swordfish"])
def test_a_secret_as_such_is_refused_and_not_repeated(given: str) -> None:
    with pytest.raises(InvalidOption, match="token is a secret: give env:NAME or file:PATH") as refused:
        resolve(given, "token")
    assert "swordfish" not in str(refused.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: "env:NO_SUCH_VARIABLE", "NO_SUCH_VARIABLE is not set"),
        (lambda folder: f"file:{folder}/none", "cannot be read"),
        (lambda folder: f"file:{folder}/empty", "is empty"),
        (lambda folder: f"file:{folder}/binary", "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_one_clear_error(make, message, tmp_path: Path) -> None:
    (tmp_path / "empty").write_text(" \n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidOption, match=message):
        resolve(make(tmp_path), "token")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("nats://user:pass@host:4222", "nats://***@host:4222"),
        ("nats://token@host", "nats://***@host"),
        ("nats://us@er:pa@ss@host/x", "nats://***@host/x"),
        ("a 'nats://u:p@one,nats://u:q@two' b", "a 'nats://***@one,nats://***@two' b"),
        ("nats://host:4222", "nats://host:4222"),
        ("mail somebody@example.com", "mail somebody@example.com"),
    ],
)
def test_urls_lose_what_stands_before_the_at_sign(text: str, told: str) -> None:
    assert redacted(text) == told


def test_the_longer_of_two_secrets_is_hidden_whole() -> None:
    hide("abcdefgh")
    hide("abcdefgh-and-more")
    assert redacted("abcdefgh-and-more abcdefgh") == f"{MASK} {MASK}"


def test_a_very_short_secret_hides_nothing_else() -> None:
    hide("ab")
    assert redacted("cabbage") == "cabbage"
