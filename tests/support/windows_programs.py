"""Stand-ins for Windows' session programs and for the MultiPoint service: one make-believe host in a JSON file.

Called as ``windows_programs.py WORLD PROGRAM ARGUMENTS...``. Every act is written to ``record.jsonl`` before it is
done, with the arguments exactly as they arrived. Bytes of the table are Latin-1 text in the file.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time

TYPE_CHECKING = False  # typing and pathlib would be half of the time that such a program takes
if TYPE_CHECKING:
    from typing import Any

HEADER = " USERNAME              SESSIONNAME        ID  STATE   IDLE TIME  LOGON TIME"


def quser(world: dict[str, Any], _arguments: list[str]) -> int:
    """Print the table; as often as asked before, another one."""
    world["quser_calls"] = world.get("quser_calls", 0) + 1
    for change in world["changes"]:
        if change["at_quser_call"] == world["quser_calls"]:
            world["sessions"], world["processes"] = change["sessions"], change["processes"]
    lines = [row(session) for session in world["sessions"] if session["listed"]]
    if not lines:
        sys.stderr.write("No User exists for *\n")
        return 1
    sys.stdout.buffer.write("".join(f"{line}\r\n" for line in [HEADER, *lines]).encode("latin-1"))
    return 0


def row(session: dict[str, Any]) -> str:
    """One line, by the columns that captures show."""
    marker = ">" if session.get("marker") else " "
    text = f"{marker}{session['user']:<22}{session['name']:<15}{session['id']:>6}  {session['state']:<6}  "
    return f"{text}{session['idle']:>9}  {session['logon']}"


def qwinsta(world: dict[str, Any], _arguments: list[str]) -> int:
    """Print the other table, with the sessions that every Windows has; the templates only carry it home."""
    if world.get("qwinsta_blind"):
        sys.stderr.write("No session exists for *\n")
        return 1
    sys.stdout.write(f">{'services':<18}{'':<20}{0:>7}  Disc\r\n")
    for session in world["sessions"]:
        sys.stdout.write(f" {session['name']:<18}{session['user']:<20}{session['id']:>7}  {session['state']}\r\n")
    return 0


def logoff(world: dict[str, Any], arguments: list[str]) -> int:
    """End a session, unless it ignores that or is protected (refused)."""
    session = find(world, arguments[0])
    if session is None or session.get("protected"):
        sys.stderr.write(f"Could not logoff session ID {arguments[0]} from session Console, Error code 5\n")
        return 1
    if not session.get("ignores"):
        end(world, session["id"])
    return 0


def rwinsta(world: dict[str, Any], arguments: list[str]) -> int:
    """Reset a session, also one that has processes only."""
    number = int(arguments[0])
    if not any(each["session"] == number for each in world["processes"]):
        sys.stderr.write(f"Session ID {number} not found\n")
        return 1
    world["processes"] = [each for each in world["processes"] if each["session"] != number]
    end(world, number)
    return 0


def tsdiscon(world: dict[str, Any], arguments: list[str]) -> int:
    """Disconnect a session: its name goes and its state changes."""
    session = find(world, arguments[0])
    if session is None or session.get("protected"):
        sys.stderr.write("Error [5]:Access is denied.\n")
        return 1
    if not session.get("ignores"):
        session.update(name="", state="Disc")
    return 0


def msg(world: dict[str, Any], arguments: list[str]) -> int:
    """Show a box; one that somebody reads while the network drops, where the session says so."""
    session = find(world, arguments[0])
    if session is None or session.get("protected"):
        sys.stderr.write("Error 5 getting session names\n")
        return 1
    if session.get("leaves"):
        session.update(name="", state="Disc")
    return 0


def chglogon(world: dict[str, Any], arguments: list[str]) -> int:
    """Set the logon mode; the exit code says nothing, as on Windows."""
    modes = {"/enable": ("0", 0), "/drain": ("0", 2), "/drainuntilrestart": ("0", 1), "/disable": ("1", 0)}
    if not world.get("logons_stuck"):
        world["cim"]["Win32_TerminalServiceSetting"].update(
            zip(("Logons", "SessionBrokerDrainMode"), modes[arguments[0]], strict=True)
        )
    sys.stdout.write("Session logins are currently ...\r\n")
    return 1


def shutdown(world: dict[str, Any], arguments: list[str]) -> int:
    """Take or refuse an order. Windows' numbers are larger than an exit code here can be; the words carry them."""
    scheduled = world.get("shutdown")
    if arguments == ["/a"]:
        if scheduled is None:
            sys.stderr.write("Unable to abort the system shutdown because no shutdown was in progress.(1116)\r\n")
            return 92
        world["shutdown"] = None
        return 0
    if scheduled is not None:
        sys.stderr.write("A system shutdown has already been scheduled.(1190)\r\n")
        return 166
    world["shutdown"] = arguments
    return 0


def wms(world: dict[str, Any], arguments: list[str]) -> int:
    """The MultiPoint service: ``close ID``, ``disconnect ID`` or ``mode Console|MultiStation``."""
    act, number = arguments
    if world["wms"].get("throws") == "before":
        return 1
    if act == "mode":
        world["wms"]["mode"] = {"Console": "ConsoleMode", "MultiStation": "Normal"}[number]
        return 0
    session = find(world, number)
    if session is None:
        return 1
    if act == "close":
        end(world, session["id"])
    else:
        session.update(name="", state="Disc")
    return 1 if world["wms"].get("throws") == "after" else 0


def find(world: dict[str, Any], number: str) -> dict[str, Any] | None:
    """The session of that id; without an id these programs take the caller's own, so there must be one."""
    return next((each for each in world["sessions"] if str(each["id"]) == number), None)


def end(world: dict[str, Any], number: int) -> None:
    """Its row goes, and its processes, but for those that linger."""
    world["sessions"] = [each for each in world["sessions"] if each["id"] != number]
    world["processes"] = [each for each in world["processes"] if each["session"] != number or each.get("lingers")]


def main(folder: str, program: str, arguments: list[str]) -> int:
    """Run one program over the world in ``folder``."""
    file = os.path.join(folder, "world.json")
    with open(os.path.join(folder, "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with open(file) as stored:
            world = json.load(stored)
        if program not in {"quser", "qwinsta"}:
            with open(os.path.join(folder, "record.jsonl"), "a") as record:
                record.write(json.dumps({"program": program, "arguments": arguments}) + "\n")
        slow = world["slow"].get(program, 0)
        if arguments and (session := find(world, arguments[0])) is not None:
            slow += session.get("program_s", 0)
        code = globals()[program](world, arguments)
        with open(f"{file}.new", "w") as stored:
            json.dump(world, stored)
        os.replace(f"{file}.new", file)
    time.sleep(slow)
    return int(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
