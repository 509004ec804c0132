from __future__ import annotations

import pickle

import pytest

from mpsbridge import errors
from mpsbridge.errors import InputError, Interrupted, MpsBridgeError, NotSent, ParseError, Stopped


def tree(cls: type[MpsBridgeError] = MpsBridgeError) -> list[type[MpsBridgeError]]:
    return [cls, *(found for child in cls.__subclasses__() for found in tree(child))]


@pytest.mark.parametrize("cls", tree())
def test_an_error_survives_pickling_with_all_it_carries(cls: type[MpsBridgeError]) -> None:
    error = cls("it broke", hint="try again").about(host="ts1", snippet="observe")
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert type(copy) is cls
    assert copy.__dict__ == error.__dict__
    assert str(copy) == "it broke"


def test_the_place_in_a_text_survives_pickling() -> None:
    copy = pickle.loads(pickle.dumps(ParseError("no", line=3, excerpt="x")))  # noqa: S301 - our own bytes
    assert (copy.line, copy.excerpt) == (3, "x")


@pytest.mark.parametrize("cls", tree())
def test_only_input_and_not_sent_claim_that_nothing_ran(cls: type[MpsBridgeError]) -> None:
    assert cls("x").may_have_run is not issubclass(cls, InputError | NotSent | Stopped)


@pytest.mark.parametrize("cls", tree())
def test_the_drawn_tree_names_every_class_with_its_kind(cls: type[MpsBridgeError]) -> None:
    drawing = errors.__doc__ or ""
    line = next(line for line in drawing.splitlines() if f" {cls.__name__} " in f" {line.strip('│├└─ ')} ")
    assert cls.kind == "error" or cls.kind in line.split()


def test_the_lowest_layer_names_host_and_snippet_first() -> None:
    error = Interrupted("lost").about(host="ts1").about(host="other", snippet="end")
    assert (error.host, error.snippet) == ("ts1", "end")
