"""Values out of an entry's detail, which may lack anything and hold anything: the right kind, or nothing. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, tzinfo

from pydantic import JsonValue

from mpsbridge.models.sessions import Result

Detail = Mapping[str, JsonValue]


def text_of(detail: Detail, key: str) -> str | None:
    """A text that is not empty."""
    value = detail.get(key)
    return value if isinstance(value, str) and value else None


def texts_of(detail: Detail, key: str) -> list[str]:
    """The texts in a list."""
    value = detail.get(key)
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def number_of(detail: Detail, key: str) -> int | None:
    """A whole number."""
    value = detail.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def numbers_of(detail: Detail, key: str) -> list[int]:
    """The whole numbers in a list."""
    value = detail.get(key)
    found = value if isinstance(value, list) else []
    return [each for each in found if isinstance(each, int) and not isinstance(each, bool)]


def time_of(detail: Detail, key: str, zone: tzinfo | None = None) -> datetime | None:
    """An aware time, in ``zone`` where one is given."""
    try:
        moment = datetime.fromisoformat(text_of(detail, key) or "")
        if moment.tzinfo is None:
            return None
        return moment.astimezone(zone) if zone else moment
    except (ValueError, OverflowError):
        return None


def result_of(detail: Detail) -> Result:
    """What became of a session; ``unknown`` where the word is none of ours."""
    try:
        return Result(text_of(detail, "result") or "")
    except ValueError:
        return Result.UNKNOWN
