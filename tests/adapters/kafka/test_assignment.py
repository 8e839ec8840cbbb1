from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from eventproof.adapters.kafka.assignment import Claim, assign, heard, read, told, written


class Members:
    """What a group's members own, as generations go by."""

    def __init__(self, partitions):
        self.partitions = partitions
        self.owned = {}
        self.generation = 0

    def rebalance(self):
        """One generation; whether anything has to move yet."""
        if not self.owned:
            return False
        claims = {name: Claim(self.generation, tuple(sorted(owned))) for name, owned in self.owned.items()}
        self.generation += 1
        given_ = {name: set(given_) for name, given_ in assign(claims, self.partitions).items()}
        owners = {partition: name for name, owned in self.owned.items() for partition in owned}
        for name, partitions in given_.items():
            for partition in partitions:
                assert owners.get(partition, name) == name, "it goes from one straight to another"
        assert sum(map(len, given_.values())) == len(set().union(*given_.values()))
        moving = any(self.owned[name] - given_[name] for name in self.owned)
        self.owned = given_
        return moving


CHANGES = st.lists(st.tuples(st.sampled_from(["join", "leave"]), st.integers(0, 9)), max_size=20)


@given(CHANGES, st.integers(1, 20))
def test_kaf_022_no_partition_has_two_owners_and_in_the_end_each_has_one(changes, partitions):
    members = Members(partitions)
    for act, number in changes:
        if act == "join":
            members.owned.setdefault(f"m{number}", set())
        else:
            members.owned.pop(f"m{number}", None)
        members.rebalance()
    for _ in range(2):
        members.rebalance()
    assert not members.rebalance()
    if members.owned:
        sizes = [len(owned) for owned in members.owned.values()]
        assert sum(sizes) == partitions
        assert max(sizes) - min(sizes) <= 1


def test_who_joins_disturbs_no_more_than_has_to_move():
    claims = {"a": Claim(1, (0, 1, 2, 3)), "b": Claim(1, (4, 5, 6, 7)), "c": Claim(-1, ())}
    assert assign(claims, 8) == {"a": [0, 1, 2], "b": [4, 5, 6], "c": []}


def test_kaf_022_the_later_of_two_claims_is_right():
    claims = {"a": Claim(7, (0,)), "b": Claim(3, (0, 1))}
    assert assign(claims, 2) == {"a": [0], "b": [1]}


def test_what_is_told_is_heard():
    claim = Claim(3, (1, 4), 2)
    assert heard(told("topic", claim)) == claim
    assert read(written("topic", [2, 5])) == {2, 5}
    assert read(b"") == frozenset()
