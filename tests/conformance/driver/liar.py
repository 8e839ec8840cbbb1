"""A driver that plays a part: a correct one, but for the one lie that it is called with.

    liar.py LIE [VERB] [FIFO]

VERB is the request at which it lies. FIFO: opened and closed once the lie was told, for a test that waits.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from itertools import count

LIE, VERB, FIFO = (*sys.argv[1:], "", "", "")[:3]
EVENT = {
    "specversion": "1.0",
    "id": "1",
    "source": "/liar",
    "type": "a.b",
    "time": "2026-01-01T00:00:00Z",
}
OK = {
    "hello": {"protocol": 1, "name": "liar", "versions": {"liar": "1"}},
    "start": {"claims": {"redelivery": {"within": 0.1}}},
    "publish": {"position": "7"},
}
ALL = 6  # deliveries; a further `next` stays open
numbers = count(1)


def write(line: bytes) -> None:
    os.write(1, line)


def tell(**line: object) -> None:
    write(json.dumps(line).encode() + b"\n")


def right(request: dict[str, object]) -> dict[str, object]:
    """The correct answer."""
    do = request["do"]
    answer: dict[str, object] = {"id": request["id"], "outcome": "ok", **OK.get(str(do), {})}
    if do == "next":
        answer["delivery"] = {"number": next(numbers), "event": EVENT, "attempt": 1}
    return answer


def lie(request: dict[str, object], answer: dict[str, object]) -> None:
    number, text = request["id"], json.dumps(answer).encode()
    if LIE == "silent":
        return
    if LIE == "exits":
        sys.stderr.write("out of luck\n")
        sys.exit(int(FIFO or 1))
    if LIE == "closes":
        os.close(1)
        signal.pause()
    if LIE == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if LIE in {"lines", "long"}:
        write({"lines": b"warning: deprecated\n", "long": b"x" * (17 << 20)}[LIE])
        signal.pause()
    {
        "prints": lambda: write(b"warning: deprecated\n" + text + b"\n"),
        "not-utf-8": lambda: write(b'{"id": %d, "outcome": "\xff"}\n' % number),
        "empty": lambda: write(b"\n"),
        "nested": lambda: write(b"[" * 100_000 + b"\n"),
        "type": lambda: tell(**{**answer, "position": 7, "claims": 7, "delivery": 7}),
        "surplus": lambda: tell(**answer, colour="red"),
        "unknown-id": lambda: tell(**{**answer, "id": 4711}),
        "no-id": lambda: tell(**{name: value for name, value in answer.items() if name != "id"}),
        "outcome": lambda: tell(id=number, outcome="fine"),
        "twice": lambda: (tell(**answer), tell(**answer)),
        "notice": lambda: tell(notice="lost", delivery=99),
        "rumour": lambda: tell(notice="found", delivery=1),
        "event": lambda: tell(**{**answer, "delivery": {"number": 1, "event": {"id": "1"}, "attempt": 1}}),
        "number": lambda: tell(**{**answer, "delivery": {"number": 1, "event": EVENT, "attempt": 1}}),
        "lost": lambda: (tell(**answer), tell(notice="lost", delivery=1)),
        "half": lambda: write(text[: len(text) // 2]),
        "answers": lambda: tell(**answer),
        "version": lambda: tell(**{**answer, "protocol": 2}),
        "rejected": lambda: tell(id=number, outcome="rejected", kind="protocol", detail="too old"),
        "once-empty": lambda: tell(id=number, outcome="empty"),
    }[LIE]()
    if FIFO:
        os.close(os.open(FIFO, os.O_WRONLY))


told = False
for line in sys.stdin.buffer:
    asked = json.loads(line)
    answer = right(asked)
    if asked["do"] == (VERB or "hello") and not (told and LIE == "once-empty"):
        told = True
        lie(asked, answer)
    elif asked["do"] != "next" or answer["delivery"]["number"] <= ALL:
        tell(**answer)
if LIE == "stays":
    signal.pause()
