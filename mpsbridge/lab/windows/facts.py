"""What does not change about a make-believe host."""

from __future__ import annotations

from dataclasses import dataclass

from mpsbridge.lab.windows.regions import PATTERNS, WORDS, Patterns, Words
from mpsbridge.lab.windows.sentences import SENTENCES, Sentences


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What does not change about a host; most of it is named after what ``observe`` asks for."""

    name: str
    address: str | None = None
    computer: str = ""
    language: str = "en"
    oem: int = 437
    ansi: int = 1252
    culture: str = "en-US"
    patterns: Patterns = PATTERNS["en-US"]
    utc_offset_min: int = 0
    clock_offset_s: float = 0.0
    generation: str = "none"
    mode: str = "Normal"
    rights: str = "admin"
    down: bool = False
    wide: bool = False
    broker: bool = False
    agents: tuple[str, ...] = ()
    pending_reboot: tuple[str, ...] = ()
    powershell: str = "5.1.14393.0"
    jea: tuple[str, ...] = ()
    account: str = ""
    """Of whoever signs in, with its SID; else the host's own administrator, or an operator."""
    account_sid: str = ""
    members: tuple[tuple[str | None, str], ...] | None = None
    """SID and kind of each member of Administrators, where they are not made from the sessions."""
    script_s: float = 0.0
    caller_session: int = 0
    restart_s: float = 30.0
    stays_down: bool = False
    """It does not come back from a restart."""
    boots_twice: bool = False
    """It restarts once more, ``reboot_s`` after it came back, as updates make hosts do."""
    reboot_s: float = 30.0
    ready_s: float = 0.0
    """From its return until its Remote Desktop service runs."""
    disk_protection: str = "NotInstalled"
    lacks: tuple[str, ...] = ()
    """Programs of Windows that are not there, such as ``chglogon.exe``."""
    hangs: tuple[str, ...] = ()
    """Programs of Windows that do their work and never end."""
    logons_stuck: bool = False
    """An order to change the logon mode changes nothing."""
    processes: str = "listed"
    """``denied``: no account is told which processes run."""
    event_log: str = "works"
    """``denied``: no account may write an entry."""
    tasks: str = "works"
    """The task scheduler: ``denied`` (no task can be registered), ``lost`` (a registered one is not there afterwards),
    ``disabled`` (it never runs), ``unreadable`` (none may be looked at).
    """
    wms: str = "works"
    """MultiPoint's service: ``throws`` (an act fails), ``throws-late`` (it is done, and fails then), ``hangs`` (acts
    and the list of stations never return).
    """
    administrators: str = "users"
    """Who stands in Administrators: ``users`` only; ``group``, a domain's group too, and Windows has noted everybody's
    groups; ``unnoted``, the same and it has not; ``broken``, a member whose SID cannot be read; ``unreadable``.
    """

    @property
    def words(self) -> Words:
        """The words of its language."""
        return WORDS[self.language]

    @property
    def sentences(self) -> Sentences:
        """What its programs say where they print no table."""
        return SENTENCES[self.language]
