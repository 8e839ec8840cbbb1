from __future__ import annotations

from eventproof.spec.generate import requirement_of
from eventproof.spec.parse import document, table


def test_a_block_becomes_its_data(texts: dict[str, str]) -> None:
    first, second = document("ordering.md", texts["ordering.md"]).blocks
    one = requirement_of(first)
    assert one.text == "An event that was confirmed first MUST be first delivered before the other one."
    assert one.when == {"ordering.scope": ("key", "topic"), "redelivery.nack": (True,)}
    assert (one.anomalies, one.exercise) == (("D1", "D2"), 20)
    assert (one.area, one.anchor) == ("ORD", "ordering.md#ORD-001")
    assert one.limits == "see [ORD-002](#ORD-002)."
    other = requirement_of(second)
    assert (other.verify, other.whynone, other.status) == ("inspection", "a guess leaves no trace", "removed")
    assert (other.level, other.when, other.anomalies) == ("MUST NOT", {}, ())


def test_a_separator_inside_a_field_does_not_end_it(texts: dict[str, str]) -> None:
    text = texts["ordering.md"].replace("two events with one key", "two keys · each with an event: a pair")
    block = document("ordering.md", text).blocks[0]
    assert block.field("Needs") == "two keys · each with an event: a pair"
    assert block.field("Verify") == "sampled"


def test_prose_keeps_lines_and_hides_blocks_and_code(texts: dict[str, str]) -> None:
    source = document("ordering.md", texts["ordering.md"])
    assert len(source.prose.splitlines()) == len(source.text.splitlines())
    assert "MUST" not in source.prose
    assert "Prose may mention" in source.prose


def test_a_requirement_in_a_fence_is_an_example(texts: dict[str, str]) -> None:
    assert document("README.md", f"```md\n{texts['ordering.md']}```\n").blocks == ()


def test_a_table_ends_with_its_section(texts: dict[str, str]) -> None:
    rows = list(table(document("conformance.md", texts["conformance.md"]), "Claims"))
    assert [row[0] for row in rows] == ["`ordering.scope`", "`redelivery.nack`", "`redelivery.within`"]
    assert list(table(document("conformance.md", texts["conformance.md"]), "Nothing")) == []
