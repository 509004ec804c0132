"""What the Kerberos libraries raise has a meaning of ours, by its number and not by its words."""

from __future__ import annotations

import importlib.util
import inspect
from typing import Any

import pytest
from conftest import missing

from mpsbridge.errors import (
    AuthRefused,
    ClockSkewed,
    Interrupted,
    KdcUnreachable,
    MpsBridgeError,
    NotInRealm,
    NotSent,
    TicketExpired,
    TicketMissing,
)
from mpsbridge.transports.signin.kerberos_codes import _MEANINGS, refuses_secret
from mpsbridge.transports.trouble import Stage, explain


def test_no_class_of_the_libraries_is_left_without_a_meaning() -> None:
    if importlib.util.find_spec("gssapi") is None:
        missing("the extra 'kerberos' (pip install -e '.[kerberos]')")
    import gssapi.exceptions  # noqa: PLC0415 - an optional extra
    import gssapi.raw.exceptions  # noqa: PLC0415 - the same
    import krb5  # noqa: PLC0415 - the same

    found: list[Exception] = [krb5.Krb5Error(krb5.init_context(), code) for code in (-1765328377, 2)]
    for module in (gssapi.exceptions, gssapi.raw.exceptions):
        kinds: list[Any] = [kind for _, kind in inspect.getmembers(module, inspect.isclass)]
        for kind in kinds:
            if issubclass(kind, gssapi.exceptions.GSSError):
                found.append(kind(851968, 0))
            elif issubclass(kind, gssapi.exceptions.GeneralError):
                found.append(kind("wrap", obj="name"))
    assert len(found) > 25
    for error in found:
        before = explain(error, where="ts1 (port 5986)", stage=Stage.BEFORE)
        assert type(before) is not NotSent, error
        assert before.hint
        assert isinstance(explain(error, where="ts1 (port 5986)", stage=Stage.RUNNING), Interrupted)


class Minor(Exception):
    """As gssapi's errors are: a major and a minor code, and a frame of words."""

    def __init__(self, code: int, major: int = 851968) -> None:
        super().__init__(f"Major ({major}): Unspecified GSS failure, Minor ({code + 2**32}): Words of the library")
        self.maj_code = major
        self.min_code = code + 2**32


class Wrapped(Exception):
    """As pyspnego's are."""

    def __init__(self, error: Exception) -> None:
        super().__init__("SpnegoError (16): and so on")
        self.base_error = error


Minor.__module__, Wrapped.__module__ = "gssapi.raw.misc", "spnego.exceptions"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (Minor(-1765328243), TicketMissing),
        (Minor(-1765328352), TicketExpired),
        (Minor(0, 720896), TicketExpired),
        (Minor(0, 786432), TicketExpired),
        (Minor(-1765328377), NotInRealm),
        (Minor(-1765328343), NotInRealm),
        (Minor(-1765328347), ClockSkewed),
        (Minor(-1765328228), KdcUnreachable),
        (Minor(-1765328360), AuthRefused),
        (Minor(-1765328370), AuthRefused),
        (Minor(-1765328372), AuthRefused),
        (Minor(-1), AuthRefused),
    ],
)
def test_the_number_counts(error: Exception, kind: type[MpsBridgeError]) -> None:
    """Numbers: krb5.h; majors: RFC 2744, 3.9.1."""
    for raised in (error, Wrapped(error)):
        ours = explain(raised, where="ts1", stage=Stage.BEFORE)
        assert type(ours) is kind
        assert str(ours).startswith("ts1: ")
        assert "Unspecified GSS failure" not in str(ours)
        assert ours.hint
        assert explain(raised, where="ts1", stage=Stage.RUNNING).may_have_run


@pytest.mark.parametrize(
    ("code", "words", "advice"),
    [
        (-1765328370, "no encryption type in common", "ktpass /crypto AES256-SHA1"),
        (-1765328372, "a policy of the domain", "logon hours"),
        (-1765328378, "does not know the user", "name@REALM"),
    ],
)
def test_what_a_domain_may_refuse_has_words_and_a_hint_that_can_be_followed(code: int, words: str, advice: str) -> None:
    ours = explain(Minor(code), where="ts1", stage=Stage.BEFORE)
    assert words in str(ours)
    assert advice in ours.hint


def test_what_says_no_to_an_account_is_known_and_the_rest_may_be_tried_otherwise() -> None:
    refused = {code for code in _MEANINGS if refuses_secret(Minor(code))}
    assert all(_MEANINGS[code].kind is AuthRefused for code in refused)
    others = [_MEANINGS[code] for code in set(_MEANINGS) - refused]
    assert {each.words for each in others if each.kind is AuthRefused} == {
        "the realm does not know the user: ",
        "the KDC and the account or host have no encryption type in common: ",  # NTLM needs none of Kerberos' own
        "a policy of the domain refuses it: ",  # perhaps of one host only, so the others are asked
    }
    assert not refuses_secret(TimeoutError())
