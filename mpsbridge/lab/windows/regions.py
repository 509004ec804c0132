"""What a Windows language brings with it: words, code pages and regional patterns.

Header and state words were read off captured tables; where no capture shows a word, the English one stands (Windows
itself does that: Japanese tables print English states). Column positions live in :mod:`mpsbridge.lab.windows.tables`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Words:
    """The words of one language, as ``quser`` and ``qwinsta`` print them.

    ``idle_none`` is printed with blanks of its own (seen: it starts where a short word is centred, not right-aligned
    like a number), so its place in the line differs from language to language.
    """

    quser: tuple[str, str, str, str, str, str]
    qwinsta: tuple[str, str, str, str, str, str]
    active: str = "Active"
    disconnected: str = "Disc"
    connected: str = "Conn"
    listen: str = "Listen"
    idle_none: str = "    none   "


_ENGLISH = Words(
    quser=("USERNAME", "SESSIONNAME", "ID", "STATE", "IDLE TIME", "LOGON TIME"),
    qwinsta=("SESSIONNAME", "USERNAME", "ID", "STATE", "TYPE", "DEVICE"),
)

WORDS: dict[str, Words] = {
    "en": _ENGLISH,
    "de": Words(
        quser=("BENUTZERNAME", "SITZUNGSNAME", "ID", "STATUS", "LEERLAUF", "ANMELDEZEIT"),
        qwinsta=("SITZUNGSNAME", "BENUTZERNAME", "ID", "STATUS", "TYP", "GERÄT"),
        active="Aktiv",
        disconnected="Getr.",
        connected="Verb.",
        listen="Abhör.",
        idle_none="    Kein   ",
    ),
    "fr": Words(
        quser=("UTILISATEUR", "SESSION", "ID", "ÉTAT", "TEMPS INACT", "TEMPS SESSION"),
        qwinsta=("SESSION", "UTILISATEUR", "ID", "ÉTAT", "TYPE", "PÉRIPHÉRIQUE"),
        active="Actif",
        disconnected="Déco",
        connected="Conn",
        idle_none="    aucun   ",
    ),
    "es": Words(
        quser=("NOMBRE USUARIO", "NOMBRE SESIÓN", "ID.", "ESTADO", "TIEMPO IN.", "TIEMPO SESIÓN"),
        qwinsta=("NOMBRE DE SESIÓN", "NOMBRE DE USUARIO", "ID", "ESTADO", "TIPO", "DISPOSITIVO"),
        active="Activo",
        disconnected="Desc",
        listen="Escuchar",
        idle_none="    ninguno   ",
    ),
    "it": Words(
        quser=("NOMEUTENTE", "NOMESESSIONE", "ID", "STATO", "INATTIVITÀ", "ACCESSO"),
        qwinsta=("NOMESESSIONE", "NOMEUTENTE", "ID", "STATO", "TIPO", "DISPOSITIVO"),
        active="Attivo",
    ),
    "pt": Words(  # the captured Brazilian quser has an English header over Portuguese states
        quser=_ENGLISH.quser,
        qwinsta=_ENGLISH.qwinsta,
        active="Ativo",
        disconnected="Disco",
        idle_none="    nenhum   ",
    ),
    "ru": Words(
        quser=("ПОЛЬЗОВАТЕЛЬ", "СЕАНС", "ID", "СТАТУС", "БЕЗДЕЙСТВ.", "ВРЕМЯ ВХОДА"),
        qwinsta=("СЕАНС", "ПОЛЬЗОВАТЕЛЬ", "ID", "СТАТУС", "ТИП", "УСТР-ВО"),
        active="Активно",
        disconnected="Диск",
        connected="Подключено",
        listen="Прием",
        idle_none=" отсутствует ",
    ),
    "zh-CN": Words(
        quser=("用户名", "会话名", "ID", "状态", "空闲时间", "登录时间"),
        qwinsta=("会话名", "用户名", "ID", "状态", "类型", "设备"),
        active="运行中",
        disconnected="断开",
        connected="已连接",
        listen="侦听",
        idle_none="    无     ",
    ),
    "ja": Words(  # only a qwinsta capture exists: a Japanese header over English states
        quser=_ENGLISH.quser,
        qwinsta=("セッション名", "ユーザー名", "ID", "状態", "種類", "デバイス"),
    ),
}

OTHER_STATES = {
    "connect_query": "ConnQ",
    "shadow": "Shadow",
    "idle": "Idle",
    "listen": "Listen",
    "reset": "Reset",
    "down": "Down",
    "init": "Init",
}
"""States whose words in other languages are not known; the English ones stand in every table."""

CODE_PAGES: dict[str, tuple[int, int]] = {
    "en": (437, 1252),
    "de": (850, 1252),
    "fr": (850, 1252),
    "es": (850, 1252),
    "it": (850, 1252),
    "pt": (850, 1252),
    "ru": (866, 1251),
    "zh-CN": (936, 936),
    "ja": (932, 932),
}
"""OEM and ANSI code page that Windows sets for each language."""

CULTURES: dict[str, str] = {
    "en": "en-US",
    "de": "de-DE",
    "fr": "fr-FR",
    "es": "es-ES",
    "it": "it-IT",
    "pt": "pt-BR",
    "ru": "ru-RU",
    "zh-CN": "zh-CN",
    "ja": "ja-JP",
}


@dataclass(frozen=True, slots=True)
class Patterns:
    """The regional patterns of ``HKCU:/Control Panel/International`` (sShortDate, sShortTime, s1159, s2359)."""

    short_date: str
    short_time: str
    am: str = ""
    pm: str = ""


PATTERNS: dict[str, Patterns] = {
    "en-US": Patterns("M/d/yyyy", "h:mm tt", "AM", "PM"),
    "en-GB": Patterns("dd/MM/yyyy", "HH:mm", "AM", "PM"),
    "en-AU": Patterns("d/MM/yyyy", "h:mm tt", "AM", "PM"),
    "en-CA": Patterns("yyyy-MM-dd", "h:mm tt", "AM", "PM"),
    "en-IN": Patterns("dd-MM-yyyy", "HH:mm", "AM", "PM"),
    "en-ZA": Patterns("yyyy/MM/dd", "HH:mm", "AM", "PM"),
    "de-DE": Patterns("dd.MM.yyyy", "HH:mm"),
    "de-AT": Patterns("dd.MM.yyyy", "HH:mm"),
    "de-CH": Patterns("dd.MM.yyyy", "HH:mm"),
    "fr-FR": Patterns("dd/MM/yyyy", "HH:mm"),
    "fr-BE": Patterns("dd-MM-yy", "HH:mm"),
    "fr-CA": Patterns("yyyy-MM-dd", "HH:mm"),
    "fr-CH": Patterns("dd.MM.yyyy", "HH:mm"),
    "es-ES": Patterns("dd/MM/yyyy", "H:mm"),
    "es-MX": Patterns("dd/MM/yyyy", "hh:mm tt", "a. m.", "p. m."),
    "it-IT": Patterns("dd/MM/yyyy", "HH:mm"),
    "pt-BR": Patterns("dd/MM/yyyy", "HH:mm"),
    "pt-PT": Patterns("dd/MM/yyyy", "HH:mm"),
    "ru-RU": Patterns("dd.MM.yyyy", "HH:mm"),
    "da-DK": Patterns("dd-MM-yyyy", "HH:mm"),
    "fi-FI": Patterns("d.M.yyyy", "H.mm"),
    "nl-NL": Patterns("d-M-yyyy", "HH:mm"),
    "pl-PL": Patterns("dd.MM.yyyy", "HH:mm"),
    "sv-SE": Patterns("yyyy-MM-dd", "HH:mm"),
    "zh-CN": Patterns("yyyy/M/d", "H:mm", "上午", "下午"),
    "ja-JP": Patterns("yyyy/MM/dd", "H:mm", "午前", "午後"),
}

_FIELD = re.compile(r"yyyy|yy|MM|M|dd|d|HH|H|hh|h|mm|tt")


def written(moment: datetime, patterns: Patterns) -> str:
    """A local time in the host's own short date and short time, as the tools print it: to the minute."""
    hour = moment.hour % 12 or 12
    fields = {
        "yyyy": f"{moment.year:04}",
        "yy": f"{moment.year % 100:02}",
        "MM": f"{moment.month:02}",
        "M": f"{moment.month}",
        "dd": f"{moment.day:02}",
        "d": f"{moment.day}",
        "HH": f"{moment.hour:02}",
        "H": f"{moment.hour}",
        "hh": f"{hour:02}",
        "h": f"{hour}",
        "mm": f"{moment.minute:02}",
        "tt": patterns.am if moment.hour < 12 else patterns.pm,
    }
    return _FIELD.sub(lambda field: fields[field[0]], f"{patterns.short_date} {patterns.short_time}")


def read_back(text: str, patterns: Patterns) -> datetime | None:
    """The inverse of :func:`written` (naive local time), or ``None`` where the text has another shape."""
    order = [name[0] for name in _FIELD.findall(patterns.short_date)]
    numbers = [int(number) for number in re.findall(r"\d+", text)]
    if "yyyy" not in patterns.short_date or len(numbers) != 5 or sorted(order) != ["M", "d", "y"]:
        return None
    date = dict(zip(order, numbers, strict=False))
    try:
        moment = datetime(date["y"], date["M"], date["d"], numbers[3], numbers[4])  # noqa: DTZ001 - local by design
    except ValueError:
        return None
    afternoon = bool(patterns.pm) and patterns.pm in text
    if patterns.am and patterns.am in text and moment.hour == 12:
        return moment - timedelta(hours=12)
    return moment + timedelta(hours=12) if afternoon and moment.hour < 12 else moment
