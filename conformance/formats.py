"""The suite's own file formats as JSON Schemas, generated from the types that read and write them.

`python -m eventproof.conformance.formats` writes them to schemas/conformance/; with --check it only says
whether they are current.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import msgspec

from eventproof import schemas
from eventproof.adapters.claims import Claims
from eventproof.conformance import manifest
from eventproof.conformance.batch import Batch
from eventproof.conformance.driver import lines
from eventproof.conformance.history.record import Header, Record
from eventproof.conformance.report.report import Report
from eventproof.conformance.scenario import Scenario
from eventproof.conformance.selftest import Selftest

BASE = "https://eventproof.dev/schemas/conformance"
FORMATS: Mapping[str, tuple[Any, str]] = {
    "claims": (Claims, "What an adapter promises in one configuration"),
    "scenario": (Scenario, "A scenario file: everything that one run does"),
    "batch": (Batch, "A batch file: scenarios that meet one fault of the broker, side by side"),
    "history-header": (Header, "The first line of a history file"),
    "history-record": (Record, "Every other line of a history file"),
    "report": (Report, "report.json: the result of one run"),
    "manifest-header": (manifest.Header, "The first line of a manifest.jsonl"),
    "manifest-entry": (manifest.Entry, "Every other line of a manifest.jsonl"),
    "matrix": (Selftest, "matrix.json: the kill matrix of one corpus"),
    "driver": (lines.Request | lines.Answer | lines.LeaseLost, "A line of the driver protocol, either way"),
}
DELIVERED = ("process", "session", "group", "topic", "delivery")
REQUIRED: Mapping[str, tuple[str, ...]] = {
    "publish.invoke": ("process", "topic", "call", "event", "type", "digest"),
    "publish.ok": ("call",),
    "publish.rejected": ("call", "reason"),
    "publish.indeterminate": ("call",),
    "publish.raw": ("topic",),
    "probe": ("call",),
    "subscribe.invoke": ("process", "session", "topic", "group"),
    **{f"subscribe.{outcome}": ("session",) for outcome in ("ok", "rejected", "indeterminate")},
    **{f"session.{end}": ("session",) for end in ("closed", "lost", "ended")},
    "next.invoke": ("session",),
    "deliver": (*DELIVERED, "event", "type", "digest"),
    **{
        f"{verb}.{outcome}": ("delivery",)
        for verb in ("ack", "nack", "reject", "extend")
        for outcome in ("invoke", "ok", "rejected", "indeterminate")
    },
    "lease.lost": ("delivery",),
    "dead": ("event", "digest"),
    "drained": ("topic", "numbers"),
    "log.read": ("topic",),
    "group.position": ("topic", "group", "position"),
    "adapter.error": ("process", "error"),
    "stall": ("numbers",),
    "end": (),
    **dict.fromkeys(
        ("broker.killed", "broker.stopped", "broker.paused", "broker.resumed", "broker.ready"), ()
    ),
    **dict.fromkeys(
        ("consumer.killing", "consumer.killed", "consumer.paused", "consumer.resumed"), ("process",)
    ),
    **dict.fromkeys(("link.cut", "link.healed"), ()),
    "topic.changed": ("topic",),
    "group.deleted": ("topic", "group"),
}


def schema(name: str) -> dict[str, Any]:
    """The JSON Schema of one format."""
    kind, title = FORMATS[name]
    found: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"{BASE}/{name}.schema.json",
        "title": title,
        **(msgspec.json.schema(kind) if isinstance(kind, type) else _any_of(get_args(kind))),
    }
    if name == "history-record":
        record = found["$defs"]["Record"]
        record["properties"]["kind"]["enum"] = list(REQUIRED)
        record["allOf"] = [_requires(of_kind, fields) for of_kind, fields in REQUIRED.items() if fields]
    return found


def _any_of(kinds: tuple[type, ...]) -> dict[str, Any]:
    """One schema for types that no single member tells apart."""
    choices, definitions = msgspec.json.schema_components(kinds, ref_template="#/$defs/{name}")
    return {"anyOf": list(choices), "$defs": definitions}


def _requires(kind: str, fields: tuple[str, ...]) -> dict[str, Any]:
    return {"if": {"properties": {"kind": {"const": kind}}}, "then": {"required": list(fields)}}


def main(arguments: list[str]) -> int:
    """Write the schemas, or with --check compare them; 1 if one was not current."""
    folder = Path(next(iter(schemas.__path__))) / "conformance"
    stale = 0
    for name in FORMATS:
        path = folder / f"{name}.schema.json"
        text = f"{msgspec.json.format(msgspec.json.encode(schema(name))).decode()}\n"
        current = path.exists() and path.read_text(encoding="utf-8") == text
        if not current and "--check" in arguments:
            stale += 1
            sys.stderr.write(f"{path.name} is not current: run python -m eventproof.conformance.formats\n")
        elif not current:
            path.write_text(text, encoding="utf-8")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
