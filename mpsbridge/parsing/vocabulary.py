"""The words of the two tables by language: data, and the three questions that are asked of it.

Structure comes first in reading a table; these words settle what structure leaves open. A word of ``CAPTURED`` was seen
in a real capture. A word of ``EXPECTED`` was not: it comes from fixtures, translated documentation or knowledge of the
language, and is taken only because it could mean nothing else. A state word in neither is :attr:`State.UNKNOWN`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Literal

from mpsbridge.models.sessions import State

Kind = Literal["quser", "qwinsta"]

CAPTURED_HEADERS: tuple[tuple[Kind, str], ...] = (
    ("quser", "USERNAME|SESSIONNAME|ID|STATE|IDLE TIME|LOGON TIME"),
    ("quser", "BENUTZERNAME|SITZUNGSNAME|ID|STATUS|LEERLAUF|ANMELDEZEIT"),
    ("quser", "UTILISATEUR|SESSION|ID|ÉTAT|TEMPS INACT|TEMPS SESSION"),
    ("quser", "NOMBRE USUARIO|NOMBRE SESIÓN|ID.|ESTADO|TIEMPO IN.|TIEMPO SESIÓN"),
    ("quser", "NOMEUTENTE|NOMESESSIONE|ID|STATO|INATTIVITÀ|ACCESSO"),
    ("quser", "ПОЛЬЗОВАТЕЛЬ|СЕАНС|ID|СТАТУС|БЕЗДЕЙСТВ.|ВРЕМЯ ВХОДА"),
    ("quser", "用户名|会话名|ID|状态|空闲时间|登录时间"),
    ("qwinsta", "SESSIONNAME|USERNAME|ID|STATE|TYPE|DEVICE"),
    ("qwinsta", "SITZUNGSNAME|BENUTZERNAME|ID|STATUS|TYP|GERÄT"),
    ("qwinsta", "SESSION|UTILISATEUR|ID|ÉTAT|TYPE|PÉRIPHÉRIQUE"),
    ("qwinsta", "NOMBRE DE SESIÓN|NOMBRE DE USUARIO|ID|ESTADO|TIPO|DISPOSITIVO"),
    ("qwinsta", "NOMESESSIONE|NOMEUTENTE|ID|STATO|TIPO|DISPOSITIVO"),
    ("qwinsta", "СЕАНС|ПОЛЬЗОВАТЕЛЬ|ID|СТАТУС|ТИП|УСТР-ВО"),
    ("qwinsta", "会话名|用户名|ID|状态|类型|设备"),
    ("qwinsta", "セッション名|ユーザー名|ID|状態|種類|デバイス"),
)

EXPECTED_HEADERS: tuple[tuple[Kind, str], ...] = (
    ("quser", "GEBRUIKERSNAAM|SESSIENAAM|ID|STATUS|ONBEZET|AANMELDTIJD"),
    ("quser", "NOME DE USUÁRIO|NOME DA SESSÃO|ID|ESTADO|TEMPO OCIOSO|TEMPO DE LOGON"),
    ("quser", "ユーザー名|セッション名|ID|状態|アイドル時間|ログオン時刻"),
    ("quser", "사용자 이름|세션 이름|ID|상태|유휴 시간|로그온 시간"),
    ("quser", "使用者名稱|工作階段名稱|ID|狀態|閒置時間|登入時間"),
    ("quser", "NAZWA UŻYTKOWNIKA|NAZWA SESJI|ID|STAN|CZAS BEZCZYNNOŚCI|CZAS LOGOWANIA"),
    ("quser", "UŽIVATELSKÉ JMÉNO|NÁZEV RELACE|ID|STAV|DOBA NEČINNOSTI|ČAS PŘIHLÁŠENÍ"),
    ("quser", "ANVÄNDARNAMN|SESSIONSNAMN|ID|STATUS|INAKTIV|INLOGGNINGSTID"),
    ("quser", "BRUGERNAVN|SESSIONSNAVN|ID|STATUS|INAKTIV|LOGONTIDSPUNKT"),
    ("quser", "BRUKERNAVN|ØKTNAVN|ID|STATUS|INAKTIV|PÅLOGGINGSTID"),
    ("quser", "KÄYTTÄJÄNIMI|ISTUNNON NIMI|ID|TILA|JOUTENAIKA|KIRJAUTUMISAIKA"),
    ("quser", "KULLANICI ADI|OTURUM ADI|KİMLİK|DURUM|BOŞTA|OTURUM AÇMA ZAMANI"),
    ("quser", "FELHASZNÁLÓNÉV|MUNKAMENETNÉV|AZONOSÍTÓ|ÁLLAPOT|ÜRESJÁRAT|BEJELENTKEZÉS"),
    ("quser", "ΟΝΟΜΑ ΧΡΗΣΤΗ|ΟΝΟΜΑ ΠΕΡΙΟΔΟΥ|ID|ΚΑΤΑΣΤΑΣΗ|ΑΔΡΑΝΕΙΑ|ΩΡΑ ΣΥΝΔΕΣΗΣ"),
    ("qwinsta", "SESSIENAAM|GEBRUIKERSNAAM|ID|STATUS|TYPE|APPARAAT"),
    ("qwinsta", "NOME DA SESSÃO|NOME DE USUÁRIO|ID|ESTADO|TIPO|DISPOSITIVO"),
    ("qwinsta", "세션 이름|사용자 이름|ID|상태|종류|장치"),
    ("qwinsta", "工作階段名稱|使用者名稱|ID|狀態|類型|裝置"),
    ("qwinsta", "NAZWA SESJI|NAZWA UŻYTKOWNIKA|ID|STAN|TYP|URZĄDZENIE"),
    ("qwinsta", "NÁZEV RELACE|UŽIVATELSKÉ JMÉNO|ID|STAV|TYP|ZAŘÍZENÍ"),
    ("qwinsta", "SESSIONSNAMN|ANVÄNDARNAMN|ID|STATUS|TYP|ENHET"),
    ("qwinsta", "OTURUM ADI|KULLANICI ADI|KİMLİK|DURUM|TÜR|AYGIT"),
    ("qwinsta", "MUNKAMENETNÉV|FELHASZNÁLÓNÉV|AZONOSÍTÓ|ÁLLAPOT|TÍPUS|ESZKÖZ"),
)

PEOPLE = (
    "user|benutzer|utilisateur|usuario|usuário|utente|utenti|пользовател|gebruiker|użytkownik|uživatel|používateľ|"
    "användar|bruger|bruker|käyttäj|kullanıcı|felhasználó|χρήστ|користувач|utilizator|用户|使用者|ユーザー|사용자|"
    "session|sitzung|sesión|sesion|sessione|sessão|сеанс|sessie|sesj|relac|økt|istunto|oturum|munkamenet|сесі|"
    "会话|工作階段|セッション|세션"
)
"""How words for a user or a session begin, in sentences of the two programs."""

NEGATIONS = (
    "no|not|kein|keine|keinen|nicht|aucun|aucune|pas|ningún|ninguna|ninguno|nessun|nessuna|nessuno|non|não|nenhum|nenhuma|"
    "нет|не|geen|niet|nie|brak|żaden|żadnego|není|nejsou|neexistuje|neexistujú|žádný|žiadny|ingen|inga|inget|ikke|ei|ole|"
    "yok|yoktur|değil|bulunamadı|nincs|nincsenek|nem|δεν|κανένας|немає|nu|niciun"
)
"""Words of sentences that say that there is none; Chinese, Japanese and Korean ones are :data:`GLUED_NEGATIONS`."""

GLUED_NEGATIONS = "没有|不存在|沒有|無|ありません|しません|いません|없습니다|않습니다|없음"

CAPTURED_STATES: dict[State, str] = {
    State.ACTIVE: "Active|Aktiv|Actif|Activo|Attivo|Ativo|Активно|运行中",
    State.DISCONNECTED: "Disc|Getr.|Déco|Desc|Disco|Диск|断开",
    State.CONNECTED: "Conn|Verb.|Подключено|已连接",
    State.LISTEN: "Listen|Abhör.|Escuchar|Прием|侦听",
    State.CONNECT_QUERY: "ConnQ",
    State.IDLE: "Idle",
}
"""English, German, French, Spanish, Italian, Portuguese, Russian, Chinese. Japanese Windows prints English words."""

EXPECTED_STATES: dict[State, str] = {
    State.ACTIVE: (
        "Actief|Aktywna|Aktywny|Aktywne|Aktivní|Aktívna|Aktívne|Aktiivinen|Etkin|Aktív|Activ|Ενεργό|Ενεργή|Активний|Активна|"
        "활성|使用中|作用中|アクティブ|פעיל|نشط"
    ),
    State.DISCONNECTED: (
        "Getrennt|Déconn|Déconnecté|Desconectado|Disconnesso|Отключено|Verbroken|Rozł.|Rozłączona|Rozłączony|Odpojeno|Odpoj.|"
        "Odpojené|Frånkopplad|Frånk.|Afbrudt|Afbr.|Frakoblet|Frak.|Katkaistu|Katk.|Kesildi|Leválasztva|Deconectat|"
        "Αποσυνδέθηκε|Відключено|디스크|연결 끊김|연결이 끊김|已中斷連線|中斷連線|已中斷|切断|切断済み|מנותק"
    ),
    State.CONNECTED: (
        "Verbunden|Connecté|Conectado|Connesso|Verbonden|Połącz.|Połączona|Połączony|Připojeno|Připoj.|Pripojené|Ansluten|"
        "Ansl.|Tilsluttet|Tilkoblet|Yhdistetty|Bağlı|Csatlakozva|Підключено|연결됨|已連線|接続|接続済み"
    ),
    State.LISTEN: (
        "Écouter|Écoute|Ascolto|In ascolto|Escutar|Escuta|Приём|Luisteren|Nasłuch|Nasłuchuje|Naslouchá|Naslouch.|"
        "Lyssna|Lyssnar|Lytter|Kuuntelee|Dinle|Dinliyor|Figyel|Figyelés|수신 대기|接聽|接聽中|リッスン"
    ),
    State.IDLE: "Inactif|Inactivo|空闲|閒置|アイドル",
    State.SHADOW: "Shadow",
    State.RESET: "Reset",
    State.DOWN: "Down",
    State.INIT: "Init",
}


def header_starts(text: str) -> Iterator[int]:
    """Where a first cell of a known header begins in a text, before a wide gap."""
    return (cell.start() for cell in _FIRST_CELL.finditer(text))


def ends_as_header(chunk: str) -> bool:
    """Whether a text ends in a first cell of a known header, with something before it."""
    return any(header_starts(f"{chunk}  "))


def state_of(word: str) -> State:
    """What a state word means, in whatever language; :attr:`State.UNKNOWN` where it is in no list.

    Case, a final dot, and accents that arrived broken (``D?co``, ``DÃ©co``) do not matter.
    """
    return _STATES.get(_key(word)) or _BROKEN_STATES.get(_skeleton(word)) or State.UNKNOWN


def says_none(sentence: str) -> bool:
    """Whether a sentence speaks of users or sessions and says that there is none, in a language known here."""
    return bool(_PEOPLE.search(sentence) and _NONE.search(sentence))


def is_cut(word: str) -> bool:
    """Whether that is a known state word without its end."""
    key = _key(word)
    return key not in _STATES and any(known.startswith(key) for known in _STATES)


def kind_of(header_cell: str) -> Kind | None:
    """Which table begins with this header cell, if it is known."""
    return _KINDS.get(_key(header_cell)) or _BROKEN_KINDS.get(_skeleton(header_cell))


def known_words(text: str) -> int:
    """How many words of the text are header or state words, for telling one code page from another."""
    return sum(_key(word) in _WORDS for word in text.split())


def _key(word: str) -> str:
    return unicodedata.normalize("NFC", word).casefold().strip(" .")


def _skeleton(word: str) -> str:
    """The word with each run of letters that a wrong code page breaks as one ``?``; empty where little is left."""
    skeleton = re.sub(r"[^ -~]+|\?+", "?", _key(word))
    return skeleton if sum(map(str.isalpha, skeleton)) >= 2 else ""


def _states() -> Iterator[tuple[str, State]]:
    for words in (EXPECTED_STATES, CAPTURED_STATES):
        for state, listed in words.items():
            for word in listed.split("|"):
                yield word, state


_HEADERS = (*EXPECTED_HEADERS, *CAPTURED_HEADERS)
_STATES = {_key(word): state for word, state in _states()}
_BROKEN_STATES = {_skeleton(word): state for word, state in _states() if "?" in _skeleton(word)}
_KINDS: dict[str, Kind] = {_key(cells.split("|")[0]): kind for kind, cells in _HEADERS}
_BROKEN_KINDS: dict[str, Kind] = {
    _skeleton(cells.split("|")[0]): kind for kind, cells in _HEADERS if "?" in _skeleton(cells.split("|")[0])
}
_WORDS = frozenset(
    _key(word)
    for text in (*(cells for _, cells in _HEADERS), *(w for w, _ in _states()))
    for word in text.replace("|", " ").split()
)
_PEOPLE = re.compile(rf"(?<!\w)(?:{PEOPLE})|(?:{PEOPLE})(?<=[\u3040-\ud7a3])", re.IGNORECASE)
_NONE = re.compile(rf"(?<!\w)(?:{NEGATIONS})(?!\w)|{GLUED_NEGATIONS}", re.IGNORECASE)
_FIRST_CELLS = "|".join(sorted({re.escape(cells.split("|")[0]) for _, cells in _HEADERS}, key=len, reverse=True))
_FIRST_CELL = re.compile(rf"(?<!\w)(?:{_FIRST_CELLS})(?= {{2}})", re.IGNORECASE)
