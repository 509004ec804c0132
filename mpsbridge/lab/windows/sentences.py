"""What the session programs of a Windows language say where they print no table, on standard error.

Only the English sentences are captured or documented. The others are of the lab's own making: they say the same in the
grammar of their language, so that asterisk, number and word stand elsewhere than in English.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_UNSEEN = re.compile(r"[\x00-\x20\x7f-\x9f]+")
"""What the scripts show as a blank, of bytes that they take for characters."""
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Sentences:
    """The sentences of one language; ``{}`` stands for the word that the program was given.

    ``error`` is the word before an error number, ``denied`` what Windows says for number 5.
    """

    nobody: str
    no_session: str
    error: str
    denied: str
    not_found: str
    not_there: str
    could_not: str
    getting_names: str

    @property
    def access_denied(self) -> str:
        """The line for error 5."""
        return f"{self.error} [5]:{self.denied}"

    @property
    def names_denied(self) -> str:
        """What ``msg`` says to a caller who may not send to the session."""
        return self.getting_names.format(number=5)

    def refused(self, act: str, session: object) -> tuple[str, str]:
        """What ``logoff`` and its like say of a session that they may not touch."""
        return self.could_not.format(act=act, id=session, number=5), self.access_denied


def printed(lines: tuple[str, ...], page: int) -> bytes:
    """Lines as a console program writes them, in its OEM code page."""
    return "".join(f"{line}\r\n" for line in lines).encode(f"cp{page}", "replace")


def repeated(lines: tuple[str, ...], page: int) -> str:
    """The same as the scripts repeat it to a person: on one line, each byte for a character."""
    return _UNSEEN.sub(" ", printed(lines, page).decode("latin-1")).strip(" ")[:_LONGEST]


SENTENCES: dict[str, Sentences] = {
    "en": Sentences(
        nobody="No User exists for {}",
        no_session="No session exists for {}",
        error="Error",
        denied="Access is denied.",
        not_found="Session {} not found",
        not_there="{} does not exist or is disconnected",
        could_not="Could not {act} session ID {id} from session Console, Error code {number}",
        getting_names="Error {number} getting session names",
    ),
    "de": Sentences(
        nobody="Es ist kein Benutzer für {} vorhanden.",
        no_session="Es ist keine Sitzung für {} vorhanden.",
        error="Fehler",
        denied="Zugriff verweigert",
        not_found="Die Sitzung {} wurde nicht gefunden.",
        not_there="{} ist nicht vorhanden oder getrennt.",
        could_not="Sitzungs-ID {id} ist von der Sitzung Console aus nicht erreichbar ({act}), Fehlercode {number}",
        getting_names="Fehler {number} beim Abrufen der Sitzungsnamen",
    ),
    "fr": Sentences(
        nobody="Il n'existe pour {} aucun utilisateur",
        no_session="Il n'existe pour {} aucune session",
        error="Erreur",
        denied="Accès refusé.",
        not_found="La session {} est introuvable",
        not_there="{} n'existe pas ou est déconnecté",
        could_not="Impossible de traiter ({act}) l'ID de session {id} depuis Console, code d'erreur {number}",
        getting_names="Erreur {number} lors de la lecture des noms de session",
    ),
    "es": Sentences(
        nobody="Para {} no existe ningún usuario",
        no_session="Para {} no existe ninguna sesión",
        error="Error",
        denied="Acceso denegado.",
        not_found="No se encontró la sesión {}",
        not_there="{} no existe o está desconectado",
        could_not="No se pudo procesar ({act}) el id. de sesión {id} desde Console, código de error {number}",
        getting_names="Error {number} al obtener los nombres de sesión",
    ),
    "it": Sentences(
        nobody="Per {} non esiste alcun utente",
        no_session="Per {} non esiste alcuna sessione",
        error="Errore",
        denied="Accesso negato.",
        not_found="Sessione {} non trovata",
        not_there="{} non esiste o è disconnesso",
        could_not="Impossibile elaborare ({act}) l'ID di sessione {id} da Console, codice di errore {number}",
        getting_names="Errore {number} durante la lettura dei nomi di sessione",
    ),
    "pt": Sentences(
        nobody="Não existe para {} nenhum usuário",
        no_session="Não existe para {} nenhuma sessão",
        error="Erro",
        denied="Acesso negado.",
        not_found="A sessão {} não foi encontrada",
        not_there="{} não existe ou está desconectado",
        could_not="Não foi possível processar ({act}) a ID de sessão {id} da sessão Console, código de erro {number}",
        getting_names="Erro {number} ao obter nomes de sessão",
    ),
    "ru": Sentences(
        nobody="Для {} пользователей нет",
        no_session="Для {} сеансов нет",
        error="Ошибка",
        denied="Отказано в доступе.",
        not_found="Сеанс {} не найден",
        not_there="{} не существует или отключен",
        could_not="Не удалось обработать ({act}) сеанс с ID {id} из сеанса Console, код ошибки {number}",
        getting_names="Ошибка {number} при получении имен сеансов",
    ),
    "zh-CN": Sentences(
        nobody="{} 的用户不存在",
        no_session="{} 的会话不存在",
        error="错误",
        denied="拒绝访问。",
        not_found="找不到会话 {}",
        not_there="{} 不存在或已断开连接",
        could_not="无法从会话 Console 处理 ({act}) 会话 ID {id},错误代码 {number}",
        getting_names="错误 {number} 获取会话名",
    ),
    "ja": Sentences(
        nobody="{} のユーザーは存在しません",
        no_session="{} のセッションは存在しません",
        error="エラー",
        denied="アクセスが拒否されました。",
        not_found="セッション {} が見つかりません",
        not_there="{} は存在しないか、切断されています",
        could_not="セッション Console からセッション ID {id} を処理できません ({act})。エラー コード {number}",
        getting_names="エラー {number} セッション名の取得中",
    ),
}
