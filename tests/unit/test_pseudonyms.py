"""Other names: as wide and as long as the real ones, consistent, and never a real one."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpsbridge.evidence.pseudonyms import Pseudonyms, is_well_known, is_word_of_windows
from mpsbridge.parsing.cells import width

PAGES = ("cp437", "cp850", "cp866", "cp932", "cp936", "cp1251", "cp1252")
LETTERS = "abcdefghijklmnopqrstuvwxyzABCXYZäöüßéñçøÄÖÜабвгджиЖЯ王小明田中太郎ユーザ사용자0123456789"
NAMES = st.text(LETTERS, min_size=1, max_size=26).flatmap(
    lambda text: st.sampled_from([text, f"{text} {text[:2]}", f"o'{text}", f"{text}.x-1", f"{text}$"])
)


def made(*names: str, pages: tuple[str, ...] = ("cp850", "cp1252"), seed: int = 1) -> Pseudonyms:
    return Pseudonyms(names, pages=pages, chance=random.Random(seed))  # noqa: S311 - the same every time


def lengths(text: str) -> list[int | None]:
    found: list[int | None] = []
    for page in ("utf-8", *PAGES):
        try:
            found.append(len(text.encode(page)))
        except UnicodeEncodeError:
            found.append(None)
    return found


@given(st.lists(NAMES, min_size=1, max_size=12, unique_by=str.lower), st.integers(0, 2**32))
def test_a_name_becomes_another_of_the_same_shape_and_none_is_a_real_one(names: list[str], seed: int) -> None:
    other = made(*names, pages=PAGES, seed=seed)
    for name in names:
        new = other.of(name)
        assert width(new) == width(name)
        assert list(map(lengths, new)) == list(map(lengths, name))
        assert [each.isalnum() for each in new] == [each.isalnum() for each in name]
        if len(name) >= 3 and name.isascii() and any(map(str.isalnum, name)):
            assert new.casefold() not in {each.casefold() for each in names}
            assert not is_word_of_windows(new)


@given(st.lists(NAMES, min_size=1, max_size=6, unique_by=str.lower), st.integers(0, 2**32), st.data())
def test_no_name_is_left_in_a_running_text(names: list[str], seed: int, data: st.DataObject) -> None:
    glue = st.sampled_from([" ", ", ", "\\", "(", "): ", "'s ", "@", "\r\n", '"'])
    text = "".join(data.draw(glue) + data.draw(st.sampled_from(names)) for _ in range(4)) + data.draw(glue)
    left = made(*names, seed=seed).within(text)
    assert (len(left), width(left)) == (len(text), width(text))
    for name in names:
        if len(name) >= 3 and name.isascii() and any(map(str.isalpha, name)) and not is_word_of_windows(name):
            assert not re.search(rf"(?<!\w){re.escape(name)}(?!\w)", left, re.IGNORECASE), (name, text, left)


def test_a_name_is_the_same_however_it_is_capitalised_and_where_its_column_cuts_it() -> None:
    other = made("alice", "anneliese.schmidt-bauer", "anneliese.schmidt-ba")
    assert other.of("ALICE") == other.of("alice").upper()
    assert other.within("Alice, ALICE; malice") == f"{other.of('Alice')}, {other.of('ALICE')}; malice"
    assert other.of("anneliese.schmidt-bauer").startswith(other.of("anneliese.schmidt-ba"))


def test_words_of_windows_stay_in_running_text_and_accounts_that_all_have_stay_everywhere() -> None:
    other = made("console", "Active", "Administrator", "12")
    assert other.within("console Active denied 12") == "console Active denied 12"
    assert other.of("console") != "console"
    assert (other.of("Administrator"), is_well_known("GUEST")) == ("Administrator", True)


@pytest.mark.parametrize(
    ("text", "stays"),
    [
        ("at 192.168.1.17", False),
        ("fe80::1:2ab%3", False),
        ("from 127.0.0.1 to ::1", True),
        ("10.0.17763.1", True),
        ("7.4.2 at 10:20:30", True),
        ("S-1-5-18 and S-1-5-32-544", True),
        ("S-1-5-21-111-2222-33333-1001", False),
        ("S-1-12-1-1-2-3-4", False),
    ],
)
def test_addresses_and_sids_of_computers_and_people_are_replaced_and_numbers_are_not(text: str, stays: bool) -> None:
    left = made("alice").within(text)
    assert (left == text) is stays
    assert len(left) == len(text)


def test_a_sid_keeps_what_it_says_of_an_account_and_two_of_one_domain_stay_of_one() -> None:
    left = made("alice").within("S-1-5-21-11-22-33-500 S-1-5-21-11-22-33-1104").split()
    assert [each.rsplit("-", 1)[1] for each in left] == ["500", "1104"]
    assert len({each.rsplit("-", 1)[0] for each in left}) == 1
