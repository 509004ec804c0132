"""The texts of notices, in the language of the host's people, and when each one is due. Pure.

Rules: a notice is known by its name and the end that it announces, so one of an end that did not come is never taken
for one of the next (W41); the sender stands in the text, because the box's title names only the calling account (W32);
a text never grows beyond what ``msg.exe`` is given, so the reason is cut and nothing else; times are the host's.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from mpsbridge.errors import InputError
from mpsbridge.models.durations import format_duration
from mpsbridge.snippets.fields import TEXT_LIMIT

_FIELDS = {"left", "minutes", "time", "reason", "sender"}

TEXTS = {
    "en": "Your session ends in {left}, at {time}. Please save your work and log off. {reason} ({sender})",
    "fr": "Votre session se termine dans {left}, à {time}. Enregistrez votre travail et fermez la session. "
    "{reason} ({sender})",
    "de": "Ihre Sitzung endet in {left}, um {time}. Bitte speichern Sie Ihre Arbeit und melden Sie sich ab. "
    "{reason} ({sender})",
    "es": "Su sesión termina en {left}, a las {time}. Guarde su trabajo y cierre la sesión. {reason} ({sender})",
    "it": "La sessione termina tra {left}, alle {time}. Salvare il lavoro e disconnettersi. {reason} ({sender})",
    "pt": "A sua sessão termina em {left}, às {time}. Guarde o trabalho e termine a sessão. {reason} ({sender})",
    "ru": "Ваш сеанс завершится через {left}, в {time}. Сохраните работу и выйдите из системы. {reason} ({sender})",
    "ja": "{left}後 ({time}) にセッションが終了します。作業を保存してサインアウトしてください。{reason} ({sender})",
    "zh": "您的会话将在 {left}后 ({time}) 结束。请保存工作并注销。{reason} ({sender})",
}
"""By language; English where the host's is none of them."""

_LEFT = {
    "en": ("{} min", "{} seconds"),
    "fr": ("{} min", "{} secondes"),
    "de": ("{} Min.", "{} Sekunden"),
    "es": ("{} min", "{} segundos"),
    "it": ("{} min", "{} secondi"),
    "pt": ("{} min", "{} segundos"),
    "ru": ("{} мин", "{} сек."),
    "ja": ("{}分", "{}秒"),
    "zh": ("{} 分钟", "{} 秒钟"),
}
"""The time left, in minutes and in seconds; the languages of :data:`TEXTS`."""

CANCELLED = {
    "en": "The log-off announced for {time} is cancelled. You can go on working. {reason} ({sender})",
    "fr": "La fermeture de session annoncée pour {time} est annulée. Vous pouvez continuer à travailler. "
    "{reason} ({sender})",
    "de": "Die für {time} angekündigte Abmeldung ist abgesagt. Sie können weiterarbeiten. {reason} ({sender})",
    "es": "El cierre de sesión anunciado para las {time} se ha cancelado. Puede seguir trabajando. {reason} ({sender})",
    "it": "La disconnessione annunciata per le {time} è annullata. Può continuare a lavorare. {reason} ({sender})",
    "pt": "O fim de sessão anunciado para as {time} foi cancelado. Pode continuar a trabalhar. {reason} ({sender})",
    "ru": "Завершение сеанса, объявленное на {time}, отменено. Можно продолжать работу. {reason} ({sender})",
    "ja": "{time} に予告されたサインアウトは中止されました。作業を続けられます。{reason} ({sender})",
    "zh": "原定于 {time} 的注销已取消,您可以继续工作。{reason} ({sender})",
}
"""What people are told where an end that was announced does not come; the languages of :data:`TEXTS`."""
_END = "%Y%m%d%H%M%S"
_SLACK_S = 5
"""A notice may go out so many seconds late and still say the whole minute."""


def language_of(locale: str | None) -> str:
    """The key of :data:`TEXTS` for a Windows locale name such as ``de-CH``."""
    language = (locale or "").split("-", 1)[0].lower()
    return language if language in TEXTS else "en"


def check_template(text: str) -> str:
    """A text of one's own, with ``{left} {minutes} {time} {reason} {sender}``. Raises ``InputError``."""
    line = text.strip()
    try:
        parts = [part for part in string.Formatter().parse(line) if part[1] is not None]
    except ValueError as error:
        raise InputError(f"the notice's text is not well formed: {error}") from error
    names = {str(name) for _, name, _, _ in parts}
    if shaped := next((name for _, name, form, conversion in parts if form or conversion), None):
        raise InputError(f"the notice's text gives {{{shaped}}} a format; write the name alone")
    if unknown := sorted(names - _FIELDS):
        raise InputError(
            f"the notice's text names {{{unknown[0]}}}; "
            "there are {left}, {minutes}, {time}, {reason}, {sender}"
        )
    if not line or "\n" in line or line[0] in "/-@":
        raise InputError("the notice's text must be one line that does not begin with /, - or @")
    notice(line, left_s=60, ends=datetime(2026, 1, 1, 12, 0), reason="", sender="admin")  # noqa: DTZ001 - shown only
    return line


def notice(
    template: str, *, left_s: float, ends: datetime, reason: str, sender: str, language: str = "en", zoned: bool = False
) -> str:
    """One notice; ``ends`` is in the host's own offset, which is named where ``zoned``.

    The reason is cut where the whole would be too long.
    """
    values = {
        "left": _left(left_s, language),
        "minutes": _minutes(left_s),
        "time": _hour(ends, zoned),
        "sender": sender,
    }
    room = TEXT_LIMIT - len(template.format(reason="", **values))
    if room < 0:
        raise InputError(f"the notice's text is {-room} characters too long")
    short = reason if len(reason) <= room else reason[: max(0, room - 1)] + "…" * (room > 0)
    text = template.format(reason=short, **values)
    return " ".join(text.split()).replace("( ", "(")


def _left(left_s: float, language: str) -> str:
    """``15 min``; of less than two minutes that are not one minute, ``30 seconds``: no two notices say the same."""
    minutes, seconds = _LEFT[language]
    if left_s >= 2 * 60 - _SLACK_S or abs(left_s - 60) <= _SLACK_S:
        return minutes.format(_minutes(left_s))
    return seconds.format(max(_SLACK_S, round(left_s / _SLACK_S) * _SLACK_S))


def _minutes(left_s: float) -> str:
    return str(round(left_s / 60)) if left_s >= 60 - _SLACK_S else "<1"


def _hour(ends: datetime, zoned: bool) -> str:  # noqa: FBT001 - private
    """``18:30``, or ``18:30 UTC+1`` where the clock on the wall may show another hour by then."""
    offset = ends.strftime("%z")
    zone = f" UTC{offset[:3]}:{offset[3:5]}" if zoned and offset else ""
    return f"{ends:%H:%M}{zone}"


def sender_of(owner: str) -> str:
    """The person's name in ``user@machine``: people on a screen have no use for the machine."""
    return owner.rpartition("@")[0] or owner


def schedule(ends: datetime, before_s: Sequence[int]) -> list[tuple[datetime, str]]:
    """When each notice is due, the earliest first, with its name (``15m``) as the lease marks it."""
    return [(ends - timedelta(seconds=seconds), format_duration(seconds)) for seconds in sorted(before_s, reverse=True)]


def mark_of(name: str, ends: datetime) -> str:
    """How the lease marks a notice: its name and the end that it announces, ``15m-20261125180000`` (UTC)."""
    return f"{name}-{ends.astimezone(UTC):{_END}}"


def end_of(mark: str) -> tuple[str, datetime | None]:
    """The reverse of :func:`mark_of`, to the second; without an end where a mark names none."""
    name, _, moment = mark.rpartition("-")
    try:
        return name, datetime.strptime(moment, _END).replace(tzinfo=UTC)
    except ValueError:
        return mark, None
