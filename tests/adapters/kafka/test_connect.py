"""The adapter is found by its scheme, and says in one line what it lacks."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from importlib.metadata import EntryPoint, EntryPoints

import eventproof
from eventproof.adapters import connect as connecting
from eventproof.adapters.connect import GROUP
from eventproof.adapters.errors import Rejected
from eventproof.adapters.kafka import KafkaBroker

POINT = EntryPoint("kafka", "eventproof.adapters.kafka:connect", GROUP)
WITHOUT_CLIENT = f"""
import sys
class Missing:
    def find_spec(self, name, *rest):
        if name == "aiokafka":
            raise ModuleNotFoundError("No module named 'aiokafka'", name=name)
sys.meta_path.insert(0, Missing())
from importlib.metadata import EntryPoint
from eventproof.adapters.connect import UnknownAdapter, _load
try:
    _load(EntryPoint("kafka", "{POINT.value}", "{GROUP}"))
except UnknownAdapter as missing:
    print(missing)
"""


def test_the_scheme_kafka_connects(kafka, monkeypatch):
    monkeypatch.setattr(connecting, "entry_points", lambda *, group: EntryPoints([POINT]).select(group=group))

    async def story():
        async with eventproof.connect(kafka.url, deadline=7.0, window=0) as broker:
            assert isinstance(broker, KafkaBroker)
            assert broker.claims.consume_dedup.scope == "none"
        return broker

    assert asyncio.run(story()).claims.flow.max_payload == 1_048_588 - 8192


def test_without_its_client_the_adapter_names_the_extra():
    done = subprocess.run([sys.executable, "-c", WITHOUT_CLIENT], capture_output=True, text=True, check=True)
    assert done.stdout == (
        "the kafka adapter needs the Python module aiokafka: pip install 'eventproof[kafka]'\n"
    )


def test_each_connection_has_a_prefix_of_its_own(kafka):
    async def story():
        topic = await kafka.topic(prefix="other")
        async with kafka.broker(prefix="other") as there, kafka.broker() as here:
            await there.publish(topic, kafka.event(1))
            try:
                await here.publish(topic, kafka.event(1))
            except Rejected as refused:
                return refused.kind
        return None

    assert asyncio.run(story()) == "no-topic"
