"""The lines of the driver protocol (spec/driver.md): requests, answers, notices.

One JSON object a line, closed: what is not in the tables of the document is no field. An event stays the
JSON text that it is (`Raw`), so that nothing on the way can change it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeAlias

import msgspec

from eventproof.adapters.claims import Claims
from eventproof.adapters.policy import Policy
from eventproof.schemas import structured
from eventproof.schemas.errors import InvalidEvent
from eventproof.schemas.event import Event

PROTOCOL: Final = 1
LONGEST: Final = 16 << 20  # bytes of a line
_SHOWN: Final = 200  # bytes of a line in an error
ENVELOPE: Final = "https://eventproof.dev/schemas/envelope/v1/envelope.schema.json"

Number: TypeAlias = Annotated[int, msgspec.Meta(ge=1)]
EventText: TypeAlias = Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema={"$ref": ENVELOPE})]


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Closed, immutable; a default is left out."""


class _Request(_Line, frozen=True, tag_field="do", tag=str.lower):
    id: Number


class Hello(_Request, frozen=True):
    """protocol: the version that is asked for."""

    protocol: Number


class Start(_Request, frozen=True):
    """One participant connects; options are the adapter's."""

    connection: Number
    url: str
    options: Mapping[str, Any] = {}


class Publish(_Request, frozen=True):
    connection: Number
    topic: str
    event: EventText


class Subscribe(_Request, frozen=True):
    connection: Number
    subscription: Number
    topic: str
    group: str
    policy: Policy = Policy()


class Next(_Request, frozen=True):
    """timeout: seconds after which it is answered `empty`."""

    subscription: Number
    timeout: Annotated[float, msgspec.Meta(ge=0)]


class Ack(_Request, frozen=True):
    delivery: Number


class Extend(_Request, frozen=True):
    delivery: Number


class Nack(_Request, frozen=True):
    """delay: seconds; None for the back-off of the policy."""

    delivery: Number
    delay: Annotated[float, msgspec.Meta(ge=0)] | None = None


class Reject(_Request, frozen=True):
    delivery: Number
    reason: str


class Unsubscribe(_Request, frozen=True):
    subscription: Number


class Close(_Request, frozen=True):
    connection: Number


Request: TypeAlias = (
    Hello | Start | Publish | Subscribe | Next | Ack | Extend | Nack | Reject | Unsubscribe | Close
)


class _Answer(_Line, frozen=True, tag_field="outcome", tag="ok"):
    id: Number


class Done(_Answer, frozen=True):
    """`ok` of what gives nothing back."""


class Welcome(_Answer, frozen=True):
    """`ok` of `hello`. name: of the driver. versions: of what it is made of, by name."""

    protocol: Number
    name: str
    versions: Mapping[str, str] = {}


class Started(_Answer, frozen=True):
    """`ok` of `start`."""

    claims: Claims = Claims()


class Published(_Answer, frozen=True):
    """`ok` of `publish`: what the broker told of it."""

    position: str | None = None
    partition: int | None = None
    duplicate: bool | None = None


class Delivered(_Line, frozen=True):
    """A delivery; number: by which it is settled."""

    number: Number
    event: EventText
    attempt: int
    position: str | None = None
    partition: int | None = None


class Handed(_Answer, frozen=True):
    """`ok` of `next`."""

    delivery: Delivered


class Rejected(_Answer, frozen=True, tag="rejected"):
    kind: str
    detail: str = ""


class Indeterminate(_Answer, frozen=True, tag="indeterminate"):
    detail: str = ""


class Empty(_Answer, frozen=True, tag="empty"):
    """Of `next` alone: nothing came in time."""


class Lost(_Answer, frozen=True, tag="lost"):
    """Of `next` alone: the session is lost."""

    detail: str = ""


class Error(_Answer, frozen=True, tag="error"):
    """The adapter raised what is no outcome."""

    detail: str = ""


Answer: TypeAlias = (
    Done | Welcome | Started | Published | Handed | Rejected | Indeterminate | Empty | Lost | Error
)


class LeaseLost(_Line, frozen=True, tag_field="notice", tag="lost"):
    """A notice: the lease of a delivery is lost."""

    delivery: Number


class _Head(msgspec.Struct, frozen=True):
    """What tells the lines apart. A line without an id is taken for a notice."""

    id: Number | None = None


class Malformed(ValueError):
    """A line that the protocol does not have there; the message says what is wrong, and quotes it.

    id: of the request that it is nevertheless, if that can be read.
    """

    def __init__(self, problem: str, line: bytes, number: int | None = None) -> None:
        shown = repr(line[:_SHOWN])[1:] + (" ..." if len(line) > _SHOWN else "")
        super().__init__(f"{problem}: {shown}")
        self.id = number


_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_REFUSED: TypeAlias = Rejected | Error
_OUTCOMES: Final[Mapping[type[_Request], Any]] = {
    Hello: Welcome | _REFUSED,
    Start: Started | Indeterminate | _REFUSED,
    Publish: Published | Indeterminate | _REFUSED,
    Next: Handed | Empty | Lost | _REFUSED,
}
_encode = msgspec.json.Encoder().encode
_head = msgspec.json.Decoder(_Head).decode
_request: Any = msgspec.json.Decoder(Request).decode
_notice = msgspec.json.Decoder(LeaseLost).decode
_usual: Any = msgspec.json.Decoder(Done | Indeterminate | _REFUSED)
_answers = {kind: msgspec.json.Decoder(outcomes) for kind, outcomes in _OUTCOMES.items()}


def encode(line: Request | Answer | LeaseLost) -> bytes:
    """The line with its line feed. Raises TypeError for what JSON cannot hold."""
    return _encode(line) + b"\n"


def request(line: bytes) -> Request:
    """Raises Malformed, with the id if there is one that can be answered."""
    try:
        found: Request = _request(line)
    except _UNREADABLE as problem:
        raise Malformed(str(problem), line, _id(line)) from problem
    return found


def _id(line: bytes) -> int | None:
    try:
        return _head(line).id
    except _UNREADABLE:
        return None


def answered(line: bytes) -> int | None:
    """The id of the request that a line answers, None for a notice. Raises Malformed."""
    try:
        return _head(line).id
    except _UNREADABLE as problem:
        raise Malformed(f"no line of the protocol ({problem})", line) from problem


def answer(line: bytes, to: Request) -> Answer:
    """A line as the answer to this request. Raises Malformed, also for an outcome that it cannot have."""
    try:
        found: Answer = _answers.get(type(to), _usual).decode(line)
    except _UNREADABLE as problem:
        raise Malformed(f"no answer to {verb(to)} ({problem})", line) from problem
    return found


def notice(line: bytes) -> LeaseLost:
    """Raises Malformed."""
    try:
        return _notice(line)
    except _UNREADABLE as problem:
        raise Malformed(f"neither an answer nor a notice ({problem})", line) from problem


def verb(of: Request) -> str:
    """What a request says to do."""
    return type(of).__name__.lower()


def write_event(event: Event) -> msgspec.Raw:
    """The event in the JSON format."""
    return msgspec.Raw(structured.encode(event))


def read_event(text: msgspec.Raw) -> Event:
    """Raises Malformed."""
    try:
        return structured.decode(bytes(text))
    except InvalidEvent as problem:
        raise Malformed(f"no event ({problem})", bytes(text)) from problem
