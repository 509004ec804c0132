"""HOST words and what they mean: ranges, globs, groups, and the algebra of them."""

from __future__ import annotations

import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpsbridge.clock import SystemClock
from mpsbridge.errors import InputError
from mpsbridge.inventory.entries import Inventory, InventoryHost
from mpsbridge.inventory.names import expand
from mpsbridge.inventory.patterns import choose

SCHOOL = Inventory(
    path=Path("hosts.toml"),
    hosts={name: InventoryHost() for name in ("ts01", "ts02", "ts03", "TS10", "lab-a", "lab-b", "odd", "same")},
    groups={
        "ts": ("ts01", "ts02", "ts03", "TS10"),
        "labs": ("lab-a", "lab-b"),
        "both": ("ts02", "lab-a", "odd"),
        "odd": ("ts01",),
        "same": ("same",),
        "ungrouped": ("odd",),
        "none": (),
    },
)


def chosen(*words: str, inventory: Inventory | None = SCHOOL, stdin: str = "") -> list[str]:
    return choose(words, inventory, read_stdin=lambda: stdin)


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("ts01", "ts01"),
        ("Ts01", "Ts01"),
        ("ts", "ts01 ts02 ts03 TS10"),
        ("TS", "ts01 ts02 ts03 TS10"),
        ("ts[01:03]", "ts01 ts02 ts03"),
        ("ts[01:03:2]", "ts01 ts03"),
        ("lab-[a:b]", "lab-a lab-b"),
        ("all", "ts01 ts02 ts03 TS10 lab-a lab-b odd same"),
        ("*", "ts01 ts02 ts03 TS10 lab-a lab-b odd same"),
        ("ts0?", "ts01 ts02 ts03"),
        ("ts0[13]", "ts01 ts03"),
        ("ts0[!13]", "ts02"),
        ("lab*", "lab-a lab-b"),
        ("ungr*", None),
        ("un*ed", None),
        ("ts !ts02", "ts01 ts03 TS10"),
        ("!ts02 ts", "ts01 ts03 TS10"),
        ("ts:!ts02", "ts01 ts03 TS10"),
        ("ts,!ts02", "ts01 ts03 TS10"),
        ("labs:ts:&both", "lab-a ts02"),
        ("ts &both !ts02 labs", "lab-a"),
        ("!ts", "lab-a lab-b odd same"),
        ("&both", "ts02 lab-a odd"),
        ("ts:!ts0*", "TS10"),
        ("ts !old*", "ts01 ts02 ts03 TS10"),
        ("ts01 10.0.0.9 [::1]:5986 other:80", "ts01 10.0.0.9 [::1]:5986 other:80"),
        ("ts01:5985,lab-a", "ts01:5985 lab-a"),
        ("ts01:5985 !ts01 ts02", "ts02"),
        ("odd:5986", "odd:5986"),
        ("ts01:5985 ts02 &ts01", "ts01:5985"),
        ("ts !ts[01:02]", "ts03 TS10"),
        ("same", "same"),
        ("none labs", "lab-a lab-b"),
        ("local ts01", "local ts01"),
        ("ts01 ts01 TS01", "ts01"),
    ],
)
def test_what_words_mean(words: str, meant: str | None) -> None:
    if meant is None:
        with pytest.raises(InputError, match="matches no host or group"):
            chosen(*words.split())
    else:
        assert chosen(*words.split()) == list(dict.fromkeys(meant.split()))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("tss", "'tss' is not a host or group of hosts.toml; did you mean ts"),
        ("ts[01:04]", "'ts04' is not a host"),
        ("ts !ts99", "'ts99' is not a host"),
        ("ts &labz", "did you mean labs"),
        ("ts &lab-z*", "matches no host"),
        ("none", "'none' leaves no host"),
        ("ts !ts", "'ts !ts' leaves no host"),
        ("ts !10.0.0.1", "'!10.0.0.1' takes out a host that no other word names"),
        ("ts !ts01:5999", "'!ts01:5999' takes out a host"),
        ("ts01:htpp", "'htpp' is neither a port nor a name"),
        ("ts:", "missing beside a colon"),
        ("ts,,labs", "missing beside a colon or a comma"),
        ("odd", "a host and a group of other hosts"),
        ("ts:5985", "a group has no port"),
        ("ALL:5985", "a group has no port"),
        ("~ts.*", "regular expressions"),
        ("ts,@file", "a word of its own"),
        ("ts:-", "a word of its own"),
        ("!!ts", "not a host name"),
        ("ts[03:01]", "ends before it begins"),
        ("ts[1:010]", "same number of digits"),
        ("ts[1:z]", "from number to number"),
        ("ts[a:Z]", "from letter to letter"),
        ("ts[:3]", "from number to number"),
        ("ts[1:]", "from number to number"),
        ("ts[1:3:0]", r"\[first:last:step\]"),
        ("ts[1:999999999]", "more than 100000"),
        ("ts[1:999][1:999]", "more than 100000"),
        ("ts[1-40]", r"write a range as \[1:40\]"),
        ("ts[1,3]", r"write a range as \[1:40\]"),
        ("ts[1:3", "a bracket has no other"),
    ],
)
def test_what_cannot_be_meant_is_said(words: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        chosen(*words.split())


@pytest.mark.parametrize("words", ["all", "ts*", "!ts1", "&ts1", "ts1 !ts2", "ts1:http", "ts1:ts2", "ts1 &ts2"])
def test_without_an_inventory_there_is_nothing_to_look_up(words: str) -> None:
    with pytest.raises(InputError):
        chosen(*words.split(), inventory=None)


def test_without_an_inventory_ranges_and_taking_out_work() -> None:
    assert chosen("ts[08:11]", "!ts09", inventory=None) == ["ts08", "ts10", "ts11"]
    assert chosen("ts[1:3]:5985:!ts2", inventory=None) == ["ts1:5985", "ts3:5985"]
    assert chosen("[fe80::1]:5985,fe80::2", "!fe80::1", inventory=None) == ["fe80::2"]
    assert chosen("[FE80:0::1]:5985,fe80::2", "!fe80::1", inventory=None) == ["fe80::2"]
    assert chosen("ts1.example.org.", "ts2", "!ts1.example.org", inventory=None) == ["ts2"]


def test_many_words_take_time_that_grows_with_their_number() -> None:
    """Ten thousand words; comparing each with each takes minutes."""
    names = [f"ts{number}" for number in range(5000)]
    clock = SystemClock()
    before = clock.monotonic()
    assert chosen(*names, *(f"!{name}" for name in names[1:]), inventory=None) == ["ts0"]
    assert clock.monotonic() - before < 20


def test_lists_may_be_taken_out_too(tmp_path: Path) -> None:
    broken = tmp_path / "broken, old:hosts.txt"
    broken.write_text("ts02  # a fan\nts03,TS10\n", encoding="utf-8")
    assert chosen("ts", f"!@{broken}") == ["ts01"]
    assert chosen("ts", f"&@{broken}") == ["ts02", "ts03", "TS10"]
    assert chosen("-", stdin="ts\n!ts01\n\n# nothing\n") == ["ts02", "ts03", "TS10"]
    assert chosen("ts", "!-", stdin="ts0*") == ["TS10"]
    broken.write_text("!ts02", encoding="utf-8")
    with pytest.raises(InputError, match="holds names only"):
        chosen("ts", f"!@{broken}")
    broken.write_text("-\n", encoding="utf-8")
    with pytest.raises(InputError, match="is not named in a list"):
        chosen(f"@{broken}")
    broken.write_text("", encoding="utf-8")
    assert chosen("ts", f"!@{broken}") == ["ts01", "ts02", "ts03", "TS10"]


@pytest.mark.parametrize("content", ["", "# nobody today\n", "!ts02\n", "&ts\n"])
def test_a_list_that_names_nobody_never_means_everybody(tmp_path: Path, content: str) -> None:
    """Words that only take out leave all the others; a list that turned out empty is not such a word."""
    today = tmp_path / "today.txt"
    today.write_text(content, encoding="utf-8")
    for words in ([f"@{today}"], [f"@{today}", "!ts01"], ["&ts", f"@{today}"], ["-"], ["-", "!ts01"]):
        with pytest.raises(InputError, match="names no host"):
            chosen(*words, stdin=content)


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("ts[0:1]", "ts0 ts1"),  # the same, by name and by place
        ("ts[1:2]", None),
        ("ts[0]", "ts0"),
        ("ts[1]", "ts1"),
        ("ts[2]", None),
        ("ts[-1]", None),
        ("ts*[1:2]", None),
        ("ts[01:02]", None),
        ("!ts[1:2]", None),
    ],
)
def test_places_in_a_group_are_never_taken_for_names(word: str, meant: str | None) -> None:
    hosts = {name: InventoryHost() for name in ("ts0", "ts1", "ts2", "ts3", "ts-", "ts01", "ts02")}
    groups = {"ts": ("ts0", "ts1", "ts3", "ts2")}
    inventory = Inventory(path=Path("hosts.yml"), hosts=hosts, groups=groups, by_place=True)
    if meant is None:
        with pytest.raises(InputError):
            chosen(word, inventory=inventory)
    else:
        assert chosen(word, inventory=inventory) == meant.split()


NAMES = [f"h{number}" for number in range(8)]
GROUPS = ["red", "green", "blue"]


@st.composite
def inventories(draw: st.DrawFn) -> Inventory:
    members = st.lists(st.sampled_from(NAMES), unique=True, max_size=6).map(tuple)
    groups = {name: draw(members) for name in GROUPS}
    return Inventory(path=Path("x"), hosts={name: InventoryHost() for name in NAMES}, groups=groups)


TERMS = st.sampled_from([*NAMES, *GROUPS, "all", "h*", "h[0:3]", "h[2:7:3]", "h[135]", "re*", "g*n"])
SIGNED = st.tuples(st.sampled_from(["", "", "&", "!"]), TERMS)


def model_of(term: str, inventory: Inventory) -> set[str]:
    """The plain meaning of the terms above, as a set."""
    special = {
        "all": set(NAMES),
        "h*": set(NAMES),
        "h[0:3]": {"h0", "h1", "h2", "h3"},
        "h[2:7:3]": {"h2", "h5"},
        "h[135]": {"h1", "h3", "h5"},
        "re*": set(inventory.groups["red"]),
        "g*n": set(inventory.groups["green"]),
    }
    return special.get(term) or ({*inventory.groups[term]} if term in GROUPS else {term} if term in NAMES else set())


@given(inventories(), st.lists(SIGNED, min_size=1, max_size=6), st.data())
def test_the_algebra_is_that_of_sets_however_it_is_written(
    inventory: Inventory, signed: list[tuple[str, str]], data: st.DataObject
) -> None:
    named = [model_of(term, inventory) for sign, term in signed if not sign]
    wanted = set().union(*named) if named else set(NAMES)
    for sign, term in signed:
        if sign == "&":
            wanted &= model_of(term, inventory)
    for sign, term in signed:
        if sign == "!":
            wanted -= model_of(term, inventory)
    words = [sign + term for sign, term in signed]
    spelled = data.draw(st.sampled_from([words, [",".join(words)], [":".join(words)]]))
    if not wanted:
        with pytest.raises(InputError, match="leaves no host"):
            chosen(*spelled, inventory=inventory)
        return
    found = chosen(*spelled, inventory=inventory)
    assert set(found) == wanted
    assert len(found) == len(wanted)
    assert chosen(*spelled, *spelled, inventory=inventory) == found
    signs = [word for word in words if word[0] in "&!"]
    naming = [word for word in words if word[0] not in "&!"]
    assert chosen(*signs, *naming, inventory=inventory) == found


@given(
    st.text(string.ascii_lowercase + "-", max_size=5),
    st.integers(0, 300),
    st.integers(0, 300),
    st.integers(1, 40),
    st.integers(1, 5),
)
def test_a_range_counts_like_range(head: str, first: int, length: int, step: int, width: int) -> None:
    last = first + length
    low, high = str(first).zfill(width), str(last).zfill(width)
    if len(low) != len(high) and low.startswith("0") and low != "0":
        with pytest.raises(InputError):
            expand(f"{head}[{low}:{high}]")
        return
    found = expand(f"{head}[{low}:{high}:{step}]x")
    assert [int(name[len(head) : -1]) for name in found] == list(range(first, last + 1, step))
    assert all(name.startswith(head) and name.endswith("x") for name in found)
    assert all(len(name) == len(head) + len(low) + 1 for name in found if len(low) == len(high))


@given(st.text(st.sampled_from(string.ascii_letters + string.digits + "[]:!&,*?@-~. é²\\\n\x1b"), max_size=20))
def test_any_text_is_hosts_or_a_sentence(word: str) -> None:
    for inventory in (None, SCHOOL):
        try:
            found = chosen(word, inventory=inventory)
        except InputError as error:
            assert str(error)  # noqa: PT017 - either is right
        else:
            assert found
            assert all(name.isprintable() for name in found)
