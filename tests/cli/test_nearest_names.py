"""A name that is found nowhere, where one only looks: the nearest one is told, and looking stays a 0."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.console import Command

from mpsbridge.lab.server import Lab
from mpsbridge.lab.worldfile import build_world


def person(id: int, user: str) -> dict[str, object]:
    return {"id": id, "user": user, "session_name": f"rdp-tcp#{id}", "logon": "1h"}


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    hosts = [
        {"name": "library-1", "sessions": [person(3, "alice"), person(6, "carol")]},
        {"name": "library-2", "sessions": [person(4, "dave")]},
        {"name": "empty", "sessions": []},
        {"name": "off", "down": True, "sessions": []},
    ]
    with Lab(build_world({"hosts": hosts})) as running:
        monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(running.inventory))
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", running.password)
        yield running


@pytest.mark.usefixtures("lab")
@pytest.mark.parametrize("form", ["table", "json", "csv"])
def test_a_listing_tells_the_nearest_user(mpsbridge: Command, form: str) -> None:
    found = mpsbridge("sessions", "library-1", "library-2", "empty", "--user", "carl", "-o", form)
    assert found.code == 0
    assert "not found on any host: user carl; did you mean carol (session 6 on library-1)?" in found.err
    assert "nobody" not in found.out


@pytest.mark.usefixtures("lab")
@pytest.mark.parametrize(
    "words",
    [
        ["--user", "carol"],
        ["--user", "LIBRARY-1\\carol"],
        ["--user", "carol", "--disconnected"],  # she is there, and does not match
        ["--disconnected"],
        ["--all"],
    ],
)
def test_a_listing_says_nothing_of_who_is_there(mpsbridge: Command, words: list[str]) -> None:
    found = mpsbridge("sessions", "library-1", "library-2", "empty", *words)
    assert (found.code, "not found" in found.err) == (0, False)


@pytest.mark.usefixtures("lab")
def test_a_listing_tells_of_an_id_that_is_not_there(mpsbridge: Command) -> None:
    found = mpsbridge("sessions", "library-1", "--session", "77")
    assert (found.code, "not found on any host: session 77" in found.err) == (0, True)


@pytest.mark.usefixtures("lab")
def test_a_host_that_could_not_be_seen_may_have_the_user(mpsbridge: Command) -> None:
    found = mpsbridge("sessions", "library-1", "off", "--user", "carl")
    assert (found.code, "not found on any host" in found.err) == (1, False)


@pytest.mark.usefixtures("lab")
def test_the_record_tells_the_nearest_names(mpsbridge: Command) -> None:
    assert mpsbridge("logoff", "library-1", "--user", "carol", "--yes").code == 0
    for words, said in (
        (["--user", "carl"], "no such sessions in the record; did you mean carol?"),
        (["--user", "LIBRARY-1\\carl"], "no such sessions in the record; did you mean carol?"),
        (["--host", "librry-1"], "no such sessions in the record; did you mean library-1?"),
        (["--user", "mallory"], "no such sessions in the record"),
        (["--host", "library-1", "--user", "carl"], "no such sessions in the record; did you mean carol?"),
    ):
        found = mpsbridge("history", *words)
        assert (found.code, found.out) == (0, f"{said}\n")
