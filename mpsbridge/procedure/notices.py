"""The texts of notices, in the language of the host's people, and when each one is due. Pure.

Rules: a notice is known by its name and the end that it announces, so one of an end that did not come is never taken
for one of the next (W41); the sender stands in the text, because the box's title names only the calling account (W32);
a text never grows beyond what ``msg.exe`` is given, so the reason is cut and nothing else; times are the host's.
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from mpsbridge.errors import InputError
from mpsbridge.models.counts import listed
from mpsbridge.models.durations import format_duration
from mpsbridge.snippets.fields import TEXT_LIMIT

_FIELDS = {"left", "minutes", "time", "reason", "sender"}

TEXTS = {
    "en": "Your session ends in {left}, at {time}. Please save your work and log off. {why} ({sender})",
    "fr": "Votre session se termine dans {left}, à {time}. Enregistrez votre travail et fermez la session. "
    "{why} ({sender})",
    "de": "Ihre Sitzung endet in {left}, um {time}. Bitte speichern Sie Ihre Arbeit und melden Sie sich ab. "
    "{why} ({sender})",
    "es": "Su sesión termina en {left}, a las {time}. Guarde su trabajo y cierre la sesión. {why} ({sender})",
    "it": "La sessione termina tra {left}, alle {time}. Salvare il lavoro e disconnettersi. {why} ({sender})",
    "pt": "A sua sessão termina em {left}, às {time}. Guarde o trabalho e termine a sessão. {why} ({sender})",
    "ru": "Ваш сеанс завершится через {left}, в {time}. Сохраните работу и выйдите из системы. {why} ({sender})",
    "ja": "{left}後 ({time}) にセッションが終了します。作業を保存してサインアウトしてください。{why} ({sender})",
    "zh": "您的会话将在 {left}后 ({time}) 结束。请保存工作并注销。{why} ({sender})",
}
"""By language; English where the host's is none of them."""

_LEFT = {
    "en": ("{} min", "{} second", "{} seconds"),
    "fr": ("{} min", "{} seconde", "{} secondes"),
    "de": ("{} Min.", "{} Sekunde", "{} Sekunden"),
    "es": ("{} min", "{} segundo", "{} segundos"),
    "it": ("{} min", "{} secondo", "{} secondi"),
    "pt": ("{} min", "{} segundo", "{} segundos"),
    "ru": ("{} мин", "{} сек.", "{} сек."),
    "ja": ("{}分", "{}秒", "{}秒"),
    "zh": ("{} 分钟", "{} 秒钟", "{} 秒钟"),
}
"""The time left, in minutes, in one second and in seconds; the languages of :data:`TEXTS`."""

_REASON = {
    "en": "Reason: {}",
    "fr": "Motif : {}",
    "de": "Grund: {}",
    "es": "Motivo: {}",
    "it": "Motivo: {}",
    "pt": "Motivo: {}",
    "ru": "Причина: {}",
    "ja": "理由: {}",
    "zh": "原因: {}",
}
"""How the reason is introduced; the languages of :data:`TEXTS`."""

ADMINISTRATOR = {
    "en": "your administrator",
    "fr": "votre administrateur",
    "de": "Ihre Administration",
    "es": "su administrador",
    "it": "il vostro amministratore",
    "pt": "o seu administrador",
    "ru": "ваш администратор",
    "ja": "システム管理者",
    "zh": "系统管理员",
}
"""Who signs where the account at work has no person's name; the languages of :data:`TEXTS`."""

_SERVICE = re.compile(
    r"\d+|root|system|localsystem|(?:local|network) ?service|daemon|nobody|cron|ansible|jenkins|runner(?:admin)?"
    r"|www-data|azureuser|ubuntu|debian|vagrant|.*\$|(?:svc|service|sa)[-_.].*|.*[-_.](?:svc|service|runner|agent|bot|ci)",
    re.IGNORECASE,
)
"""Names of accounts that are nobody's in particular."""

CANCELLED = {
    "en": "The log-off announced for {time} is cancelled. You can go on working. ({sender})",
    "fr": "La fermeture de session annoncée pour {time} est annulée. Vous pouvez continuer à travailler. ({sender})",
    "de": "Die für {time} angekündigte Abmeldung ist abgesagt. Sie können weiterarbeiten. ({sender})",
    "es": "El cierre de sesión anunciado para las {time} se ha cancelado. Puede seguir trabajando. ({sender})",
    "it": "La disconnessione annunciata per le {time} è annullata. Può continuare a lavorare. ({sender})",
    "pt": "O fim de sessão anunciado para as {time} foi cancelado. Pode continuar a trabalhar. ({sender})",
    "ru": "Завершение сеанса, объявленное на {time}, отменено. Можно продолжать работу. ({sender})",
    "ja": "{time} に予告されたサインアウトは中止されました。作業を続けられます。({sender})",
    "zh": "原定于 {time} 的注销已取消,您可以继续工作。({sender})",
}
"""What people are told where an end that was announced does not come; the languages of :data:`TEXTS`."""
OFF = "cancellation"
"""The name of this notice, as ``15m`` is of others."""
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


class Moment(NamedTuple):
    """When a notice is shown: so long before ``ends``, in the host's own offset, which is named where ``zoned``."""

    left_s: float
    ends: datetime
    zoned: bool = False


def notice(
    template: str, *, left_s: float, ends: datetime, reason: str, sender: str, language: str = "en", zoned: bool = False
) -> str:
    """One notice, as :func:`notices_as_one` has it of its moment."""
    return notices_as_one(template, [Moment(left_s, ends, zoned)], reason=reason, sender=sender, language=language)


def notices_as_one(template: str, moments: Sequence[Moment], *, reason: str, sender: str, language: str) -> str:
    """The text of all the notices of these moments: where they differ, ``{15 min, 5 min}``.

    The reason is cut where the longest would be too long. Raises ``InputError`` where that does not suffice.
    """
    values = [
        {
            "left": _left(moment.left_s, language),
            "minutes": _minutes(moment.left_s),
            "time": _hour(moment),
            "sender": sender or ADMINISTRATOR[language],
        }
        for moment in moments
    ]
    room = min(TEXT_LIMIT - len(template.format(reason="", why="", **each)) for each in values)
    if room < 0:
        raise InputError(f"the notice's text is {-room} characters too long")
    shown = {name: _alternatives([each[name] for each in values]) for name in values[0]}
    text = template.format(reason=_shortened(reason, room), why=_why(reason, language, room), **shown)
    return " ".join(text.split()).replace("( ", "(")


def _alternatives(words: Sequence[str]) -> str:
    distinct = list(dict.fromkeys(words))
    return distinct[0] if len(distinct) == 1 else f"{{{listed(distinct)}}}"


def _why(reason: str, language: str, room: int) -> str:
    """The reason as a sentence of its own, in at most so many characters; nothing where there is none."""
    words = " ".join(reason.split())
    end = "" if not words or words[-1] in ".!?。！？…" else "。" if language in {"ja", "zh"} else "."
    left = room - len(_REASON[language].format("")) - len(end)
    return _REASON[language].format(_shortened(words, left)) + end if words and left > 0 else ""


def _shortened(text: str, room: int) -> str:
    return text if len(text) <= room else text[: max(0, room - 1)] + "…" * (room > 0)


def _left(left_s: float, language: str) -> str:
    """``15 min``, ``30 seconds``, ``2 min 31 seconds``: whole minutes only where they are true to a few seconds."""
    minute, one, several = _LEFT[language]
    minutes, seconds = _whole_minutes(left_s), 0
    if not minutes or abs(left_s - 60 * minutes) > _SLACK_S:
        minutes, seconds = divmod(round(left_s), 60) if left_s >= 2 * 60 else (0, round(left_s))
    said = [minute.format(minutes)] if minutes else []
    if seconds or not minutes:
        said.append((one if seconds == 1 else several).format(seconds))
    return " ".join(said)


def _whole_minutes(left_s: float) -> int:
    """The whole minutes that are left, where a notice may go out a little late."""
    return int(left_s + _SLACK_S) // 60


def _minutes(left_s: float) -> str:
    return str(_whole_minutes(left_s) or "<1")


def _hour(moment: Moment) -> str:
    """``18:30``, or ``18:30 UTC+1`` where the clock on the wall may show another hour by then."""
    offset = moment.ends.strftime("%z")
    zone = f" UTC{offset[:3]}:{offset[3:5]}" if moment.zoned and offset else ""
    return f"{moment.ends:%H:%M}{zone}"


def sender_of(owner: str) -> str:
    """The person's name in ``user@machine``: people on a screen have no use for the machine.

    Empty for an account that is nobody's in particular (root, SYSTEM, a service): an administrator signs then.
    """
    name = owner.rpartition("@")[0] or owner
    return "" if _SERVICE.fullmatch(name.rpartition("\\")[2]) else name


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
