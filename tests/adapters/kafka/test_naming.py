"""Names of ours as names of Kafka."""

from __future__ import annotations

import asyncio
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventproof.adapters.errors import Rejected
from eventproof.adapters.kafka import naming, provision, remove

LEGAL = re.compile(r"[A-Za-z0-9._-]{1,249}")
texts = st.text(st.characters(), min_size=1, max_size=20) | st.text("a.-_2DF5", min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("name", "token"),
    [
        ("orders", "orders"),
        ("shop.orders", "shop.orders"),
        ("my-orders", "my--orders"),
        ("my_orders", "my-5Forders"),
        ("a b", "a-20b"),
        ("é", "-C3-A9"),
        ("-2E", "--2E"),
        (".", "."),
        ("\ud800", "-ED-A0-80"),
    ],
)
def test_kaf_002_a_token_is_readable(name, token):
    assert naming.token(name) == token


@given(texts, texts)
def test_kaf_001_and_kaf_002_different_names_are_different_also_where_kafka_takes_a_dot_for_an_underscore(
    one, other
):
    names = [naming.topic("p", name).replace(".", "_") for name in (one, other)]
    assert (names[0] == names[1]) is (one == other)
    assert all(LEGAL.fullmatch(name) for name in names)


@given(texts, texts, texts, texts)
def test_kaf_003_a_group_belongs_to_one_topic(topic, group, other_topic, other_group):
    same = (topic, group) == (other_topic, other_group)
    assert (naming.group("p", topic, group) == naming.group("p", other_topic, other_group)) is same


def test_kaf_036_a_transaction_belongs_to_one_partition_of_a_group():
    group = naming.group("p", "a b", "g~1")
    assert group == "p.a-20b~g-7E1"
    assert naming.transaction(group, 12) == "p.a-20b~g-7E1~12"


@pytest.mark.parametrize("name", ["", "x" * 248, "é" * 42])
def test_kaf_001_a_name_that_does_not_fit_is_refused(name):
    with pytest.raises(Rejected, match=r"invalid: the topic('s name takes 2\d\d bytes| needs a name)"):
        naming.topic("p", name)


@pytest.mark.parametrize("name", ["", "x" * 250])
def test_kaf_003_a_group_that_does_not_fit_is_refused(name):
    with pytest.raises(Rejected, match="invalid: the group"):
        naming.group("p", "t", name)


def test_kaf_001_the_broker_takes_each_legal_name(kafka):
    """Also such as differ in one character, and the longest."""

    async def story():
        longest = "x" * (naming.MAX_NAME - len("eventproof."))
        names = [longest, "a.b", "a_b", "a-b", "a b", "a-5Fb", "A.b", "..", ".", "__consumer_offsets", "é"]
        for name in names:
            assert (await provision(kafka.url, name, partitions=1)).partitions == 1
        for name in names:
            await remove(kafka.url, name)

    asyncio.run(story())
