"""Plan files: what they may say, which line is wrong, and that the waves never take more hosts than they may."""

from __future__ import annotations

import re
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import tomlkit
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from support.fake_clock import FakeClock

from mpsbridge.errors import InputError, NotBegun
from mpsbridge.operations.planfile import NoticesTable, Plan, PolicyTable, again, example_plan, read_plan
from mpsbridge.operations.waves import Count, Limits, Turnstile, WavesTable, decide, limits

NOW = datetime(2026, 11, 25, 22, 0, tzinfo=UTC)
PLAN = """# nightly
schema = "mpsbridge-plan/1"
hosts = ["ts1", "ts2", "[::1]:5985"]   # the farm
reason = "monthly updates"
then = "restart"

[policy]
include_admins = true
keep_user = ["svc-kiosk"]
settle = "3m"

[notices]
at = ["30m", "5m"]

[waves]
at_once = "25%"
floor = 2
stop_after = 3
not_after = 04:00:00
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "plan.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_plan_is_read_whole(tmp_path: Path) -> None:
    plan = read_plan(write(tmp_path, PLAN))
    assert (plan.hosts[2], plan.then, plan.policy.keep_user, plan.notices.at) == (
        "[::1]:5985",
        "restart",
        ("svc-kiosk",),
        ("30m", "5m"),
    )
    assert (plan.waves.at_once, plan.waves.floor, plan.waves.limited) == ("25%", 2, True)


def _keys(model: type[BaseModel]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


def test_the_example_is_a_plan_and_has_every_key_of_every_table(tmp_path: Path) -> None:
    plan = read_plan(write(tmp_path, example_plan()))
    assert (plan.hosts, plan.reason, plan.then) == (("ts1", "ts2"), "Windows updates", "restart")
    assert (plan.policy, plan.notices) == (PolicyTable(), NoticesTable())  # as it says of its values
    assert plan.waves.limited
    told = tomlkit.parse(re.sub(r"^# (\w+ = )", r"\1", example_plan(), flags=re.MULTILINE)).unwrap()
    assert set(told) == _keys(Plan)
    for name, table in (("policy", PolicyTable), ("notices", NoticesTable), ("waves", WavesTable)):
        assert set(told[name]) == _keys(table)


def test_a_key_of_the_example_that_has_no_value_of_its_own_can_be_given_one(tmp_path: Path) -> None:
    text = re.sub(r"^# (\w+ = )", r"\1", example_plan(), flags=re.MULTILINE)
    plan = read_plan(write(tmp_path, text))
    assert (plan.policy.idle_over, plan.policy.force_after) == ("2h", "10m")
    assert plan.notices.file == tmp_path / "notice.txt"


def test_a_notices_file_is_looked_for_beside_the_plan(tmp_path: Path) -> None:
    path = write(tmp_path, PLAN.replace('at = ["30m", "5m"]', 'file = "texts/notice.txt"'))
    assert read_plan(path).notices.file == tmp_path / "texts" / "notice.txt"


@pytest.mark.parametrize(
    ("old", "new", "where", "what"),
    [
        ("settle =", "setle =", "10: policy.setle", "no such key"),
        ('then = "restart"', 'then = "reboot"', "5: then", "restart, shutdown"),
        ('settle = "3m"', "settle = 3", "10: policy.settle", "is not a text"),
        ('settle = "3m"', 'settle = "3"', "10: policy.settle", "3s, 3m or 3h"),
        ('reason = "monthly updates"', "", "1: reason", "it is missing"),
        ('reason = "monthly updates"', 'reason = ""', "4: reason", "it is empty"),
        ("mpsbridge-plan/1", "mpsbridge-plan/9", "2: schema", "mpsbridge-plan/1"),
        ("[waves]", "[wave]", "15: wave", "no such key"),
        ("include_admins = true", 'include_admins = "yes"', "8: policy.include_admins", "without quotes"),
        ("include_admins = true", "include_admins = 1", "8: policy.include_admins", "1 is not true or false"),
        ("stop_after = 3", 'stop_after = "3"', "18: waves.stop_after", "'3' is not a whole number, written without"),
        ("stop_after = 3", "stop_after = true", "18: waves.stop_after", "True is not a whole number"),
        ('at_once = "25%"', 'at_once = "0%"', "16: waves.at_once", "a number of hosts, at least 1"),
        ('at_once = "25%"', "at_once = 0", "16: waves.at_once", "a number of hosts"),
        ('at_once = "25%"', 'at_once = "many"', "16: waves.at_once", "a number of hosts"),
        ('["ts1", "ts2", "[::1]:5985"]', "[]", "3: hosts", "it is empty"),
        ("[policy]\n", "[policy]\nlogons = 'open'\n", "8: policy.logons", "drain, drain-until-restart"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, old: str, new: str, where: str, what: str) -> None:
    path = write(tmp_path, PLAN.replace(old, new))
    with pytest.raises(InputError) as caught:
        read_plan(path)
    assert f"{path}:{where}: " in str(caught.value)
    assert what in str(caught.value)


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    path = write(tmp_path, PLAN.replace("settle", "setle").replace("stop_after = 3", "stop_after = 0"))
    with pytest.raises(InputError) as caught:
        read_plan(path)
    said = str(caught.value)
    assert [line.split(": ")[0].rpartition(":")[2] for line in said.split("; ")] == ["10", "18"]
    assert "\n" not in said  # a terminal shows no line end within a message


@pytest.mark.parametrize("text", ["schema = ", "[[", "\x00"])
def test_what_is_no_toml_is_said_with_its_place(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match="is not TOML"):
        read_plan(write(tmp_path, text))


def test_a_plan_that_is_not_there() -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_plan(Path("/no/such/plan.toml"))


def test_the_failed_hosts_are_the_same_plan_again(tmp_path: Path) -> None:
    path = write(tmp_path, PLAN)
    text = again(path.read_text(encoding="utf-8"), ["ts2"])
    assert "# nightly" in text
    failed = read_plan(write(tmp_path, text))
    assert failed.hosts == ("ts2",)
    assert failed.model_copy(update={"hosts": ()}) == read_plan(write(tmp_path, PLAN)).model_copy(update={"hosts": ()})
    assert tomlkit.parse(text)["waves"] == tomlkit.parse(PLAN)["waves"]


@pytest.mark.parametrize(
    ("waves", "hosts", "expected"),
    [
        (WavesTable(), 7, (7, 0)),
        (WavesTable(at_once="25%"), 7, (1, 0)),
        (WavesTable(at_once="50%", floor="50%"), 7, (3, 4)),
        (WavesTable(at_once="1%", floor="1%"), 7, (1, 1)),
        (WavesTable(at_once=9, floor=9), 7, (9, 9)),
    ],
)
def test_parts_are_rounded_so_that_more_hosts_serve(waves: WavesTable, hosts: int, expected: tuple[int, int]) -> None:
    limit = limits(waves, hosts, NOW)
    assert (limit.at_once, limit.available) == expected


def test_a_time_of_day_is_the_next_one_of_this_machine() -> None:
    local = NOW.astimezone()
    later, earlier = local + timedelta(hours=1), local - timedelta(hours=1)
    assert limits(WavesTable(not_after=later.time()), 1, NOW).not_after == later
    assert limits(WavesTable(not_after=earlier.time()), 1, NOW).not_after == earlier + timedelta(days=1)
    assert limits(WavesTable(not_after=NOW), 1, NOW).not_after == NOW


LIMITS = st.tuples(st.integers(1, 6), st.integers(0, 12), st.none() | st.integers(1, 4)).map(lambda each: Limits(*each))
ENDS = st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.booleans()), max_size=40)


@given(LIMITS, st.integers(1, 12), st.integers(0, 12), ENDS)
def test_waves_never_take_more_than_they_may(
    limit: Limits, hosts: int, out: int, ends: list[tuple[int, bool, bool]]
) -> None:
    """Hosts begin whenever they may and end in any order, well or not: capacity holds, and all come to an end."""
    out = min(out, hosts)
    count, waiting, failed_at = Count(hosts, out), hosts - out, 0
    while True:
        said = decide(limit, count, NOW)
        if said == "begin" and waiting:
            waiting -= 1
            count = count._replace(at_work=count.at_work + 1)
            assert count.at_work <= limit.at_once
            assert count.hosts - count.out - count.at_work >= limit.available
            assert limit.stop_after is None or count.failures < limit.stop_after
            continue
        if count.at_work == 0:
            break
        _, serves, failed = ends.pop() if ends else (0, True, False)
        failed_at += failed
        count = count._replace(
            at_work=count.at_work - 1, out=count.out + (not serves), failures=count.failures + failed
        )
    assert waiting == 0 or said not in {"begin", "wait"}, "hosts wait for ever"
    assert count.failures == failed_at


def test_nobody_begins_after_the_time() -> None:
    limit = Limits(1, 0, None, NOW)
    assert decide(limit, Count(2), NOW) == "begin"
    assert "not_after" in decide(limit, Count(2), NOW + timedelta(seconds=1))


def turnstile(limit: Limits, order: list[str], stop: threading.Event | None = None) -> Turnstile:
    clock = FakeClock(NOW)
    return Turnstile(limit, order, hosts=len(order), out=0, clock=clock, stop=stop or threading.Event())


def test_hosts_enter_in_their_order_one_after_the_other() -> None:
    gate, entered = turnstile(Limits(1, 0), ["a", "b", "c"]), []

    def work(host: str) -> None:
        gate.enter(host)
        entered.append(host)
        gate.leave(serves=True, failed=False)

    threads = [threading.Thread(target=work, args=(host,)) for host in ("c", "b", "a")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert entered == ["a", "b", "c"]


def test_after_so_many_failures_the_rest_is_not_begun() -> None:
    gate = turnstile(Limits(1, 0, 1), ["a", "b"])
    gate.enter("a")
    gate.leave(serves=True, failed=True)
    with pytest.raises(NotBegun, match="stopped after 1 failures"):
        gate.enter("b")


def test_a_stop_ends_every_wait() -> None:
    stop = threading.Event()
    gate = turnstile(Limits(1, 0), ["a", "b"], stop)
    gate.enter("a")
    stop.set()
    with pytest.raises(NotBegun) as caught:
        gate.enter("b")
    assert not caught.value.may_have_run
