"""Ids of predictions: only this installation can make them, for one model, in one spelling."""

from __future__ import annotations

import os
import re

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.prediction_id import PredictionIds, hour_text

IDS = PredictionIds(b"k" * 32)


def test_an_id_is_known_to_who_made_it() -> None:
    made = IDS.make("flights")
    assert re.fullmatch(r"[0-9a-v]{32}", made)
    assert IDS.is_ours(made, "flights")


def test_many_ids_are_made_at_once_and_all_differ() -> None:
    made = IDS.make_many("flights", 1000)
    assert len(set(made)) == 1000
    assert all(IDS.is_ours(one, "flights") for one in made)
    assert IDS.make_many("flights", 0) == []


@pytest.mark.parametrize("counts", [[1, 1, 511, 600, 2], [512, 512, 1], [0, 3, 0, 1]])
def test_blocks_of_any_size_hold_new_ids_only(counts: list[int]) -> None:
    ids = PredictionIds(b"k" * 32)
    blocks = [ids.make_block("flights", count) for count in counts]
    assert [len(block) for block in blocks] == counts
    made = [one for block in blocks for one in block]
    assert len(set(made)) == sum(counts)
    assert all(ids.is_ours(one, "flights") for one in made)


def test_block_is_json_text_and_can_be_parted() -> None:
    block = IDS.make_block("flights", 5)
    listed = list(block)
    assert orjson.loads(b"[%b]" % block.text) == listed == block
    assert list(block.part(1, 3)) == listed[1:3] == block[1:3]
    assert list(block.part(0, 0)) == []
    assert [orjson.loads(b"[%b]" % text) for text in block.texts([2, 1, 2])] == [
        listed[:2],
        listed[2:3],
        listed[3:],
    ]


def test_models_do_not_share_ids() -> None:
    one, other = IDS.make_block("flights", 3), IDS.make_block("trains", 3)
    assert not set(one) & set(other)
    assert all(IDS.is_ours(identity, "trains") for identity in other)


def test_forked_process_makes_other_ids() -> None:
    ids = PredictionIds(b"k" * 32)
    ids.make("flights")
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        os.write(writing, ids.make("flights").encode())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(reading, 32).decode()
    os.close(reading)
    os.close(writing)
    assert ids.is_ours(theirs, "flights")
    assert theirs not in ids.make_many("flights", 600)


def test_another_installation_does_not_know_it() -> None:
    assert not PredictionIds(b"x" * 32).is_ours(IDS.make("flights"), "flights")


def test_another_model_does_not_know_it() -> None:
    assert not IDS.is_ours(IDS.make("flights"), "trains")


@pytest.mark.parametrize("position", range(32))
def test_one_changed_character_is_noticed(position: int) -> None:
    made = IDS.make("flights")
    other = "0" if made[position] != "0" else "1"
    assert not IDS.is_ours(made[:position] + other + made[position + 1 :], "flights")


def test_checks_of_other_places_and_groups_are_refused() -> None:
    """Knowing ids does not help to make others: each has a check of its own, also where the group is remembered."""
    first, second = IDS.make_many("flights", 2)
    assert IDS.is_ours(first, "flights")
    assert not IDS.is_ours(first, "trains")
    assert not IDS.is_ours(first[:19] + second[19:], "flights")
    assert IDS.is_ours(second, "flights")
    group_of_others = PredictionIds(b"x" * 32).make("flights")[:17]
    assert not IDS.is_ours(group_of_others + first[17:], "flights")


def test_checks_of_a_group_are_all_different() -> None:
    made = PredictionIds(b"k" * 32).make_many("flights", 512)
    assert {len([one for one in made if one[:17] == group]) for group in {one[:17] for one in made}} == {64}
    assert len({one[19:] for one in made}) == 512


def test_place_outside_of_the_group_is_refused() -> None:
    made = IDS.make("flights")
    assert not IDS.is_ours(made[:17] + "40" + made[19:], "flights")
    assert not IDS.is_ours(made[:17] + "40" + "0" * 13, "flights")


def test_ids_hold_the_hour_in_which_they_were_made() -> None:
    now = [498_912 * 3600.0 + 3599]
    ids = PredictionIds(b"k" * 32, lambda: now[0])
    before = ids.make("flights")
    now[0] += 1
    after = ids.make("flights")
    assert (before[:4], after[:4]) == (hour_text(498_912), hour_text(498_913))
    assert all(ids.is_ours(one, "flights") for one in (before, after))


def test_ids_of_earlier_releases_are_known_and_are_another_spelling() -> None:
    """They have no hour: the place of one is below 64. With another place, their check is wrong, and so is that of a new one."""
    first, last = "99r5sve2n2deavr0b002ios6kve0g4g1", "99r5sve2n2deavr0b1vo94ablrvtj8f8"
    assert IDS.is_ours(first, "flights")
    assert IDS.is_ours(last, "flights")
    assert not IDS.is_ours(first[:17] + "20" + first[19:], "flights")
    made = PredictionIds(b"k" * 32).make("flights")
    assert made[17:19] == "20"
    assert not IDS.is_ours(made[:17] + "00" + made[19:], "flights")


def test_check_depends_on_every_byte_of_the_key() -> None:
    made = IDS.make("flights")
    for position in range(32):
        key = b"k" * position + b"l" + b"k" * (31 - position)
        assert not PredictionIds(key).is_ours(made, "flights")


def test_another_spelling_is_not_ours() -> None:
    """Accepting it would take an outcome that never meets its row: the lake compares ids as they are."""
    made = next(one for one in iter(lambda: IDS.make("flights"), "") if "i" in one)
    assert not IDS.is_ours(made.upper(), "flights")
    assert not IDS.is_ours(made.replace("i", "\N{LATIN SMALL LETTER DOTLESS I}"), "flights")


@given(st.text(max_size=40))
def test_no_text_makes_the_check_fail_itself(text: str) -> None:
    assert not IDS.is_ours(text, "flights")
