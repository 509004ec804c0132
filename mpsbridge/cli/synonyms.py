"""What people type from habit where mpsbridge has another word: the call that does it. Pure.

Rules: a word in here is answered with a sentence that can be done, never with a word that merely looks like it; a test
reads that the commands and options named in here exist.
"""

from __future__ import annotations

_RESTART = "Use 'mpsbridge end HOST --all --then restart': it warns, logs off and restarts."
_LOG_OFF = "Use 'mpsbridge logoff HOST --user NAME', or 'mpsbridge end' to warn people first."
_MESSAGE = "Use 'mpsbridge message HOST --all --text TEXT'."
_SESSIONS = "Use 'mpsbridge sessions HOST'."
_SETTINGS = "Use 'mpsbridge hosts HOST': it shows the settings of each host."
_BLOCK = "Use 'mpsbridge logons HOST --set drain'."

COMMANDS = {
    **dict.fromkeys(("restart", "reboot"), _RESTART),
    **dict.fromkeys(
        ("shutdown", "poweroff", "halt"), "Use 'mpsbridge end HOST --all --then shutdown': it warns and logs off first."
    ),
    **dict.fromkeys(("logout", "signout", "log-off", "log-out", "sign-out", "signoff"), _LOG_OFF),
    "kill": "Use 'mpsbridge logoff HOST --session ID', or 'mpsbridge reset' for an orphaned session.",
    **dict.fromkeys(("send", "msg", "notify", "tell"), _MESSAGE),
    "warn": "Use 'mpsbridge end HOST --all --warn 15m,5m', or 'mpsbridge message' only to tell people something.",
    **dict.fromkeys(("who", "list", "ls", "users", "user", "session", "quser", "qwinsta", "query", "show"), _SESSIONS),
    "status": "Use 'mpsbridge sessions HOST', or 'mpsbridge doctor HOST' to check the way to a host.",
    "check": "Use 'mpsbridge doctor HOST'.",
    **dict.fromkeys(("settings", "config", "configuration"), _SETTINGS),
    **dict.fromkeys(("drain", "block", "enable", "disable"), _BLOCK),
    **dict.fromkeys(("suspend", "tsdiscon"), "Use 'mpsbridge disconnect HOST --user NAME'."),
    **dict.fromkeys(("log", "logs", "runs"), "Use 'mpsbridge history'."),
    **dict.fromkeys(("man", "manual", "documentation", "readme"), "Use 'mpsbridge docs'."),
    **dict.fromkeys(
        ("cancel", "abort", "stop"),
        "Press Ctrl-C where the run is at work: it gives everything back. 'mpsbridge release HOST' ends one that died.",
    ),
    **dict.fromkeys(("find", "search", "where"), "Use 'mpsbridge sessions all --user NAME'."),
    **dict.fromkeys(("tasks", "howto", "faq"), "Use 'mpsbridge docs tasks'."),
    **dict.fromkeys(("lock", "unlock"), "Use 'mpsbridge hold' and 'mpsbridge release'."),
}
"""By the word that is typed as a command."""

_PASSWORD = "Set MPSBRIDGE_PASSWORD_FILE to a file that holds it, or wait to be asked; a password is never an option."  # noqa: S105 - a sentence
_JSON = "Use --output json."
_FORM = "Use --output table|json|jsonl|csv."
_ALL_RESTART = "Use 'mpsbridge end HOST --all --then restart'."

OPTIONS = {
    **dict.fromkeys(("--password", "--pass", "--password-file", "--passwd"), _PASSWORD),
    "--json": _JSON,
    "--csv": "Use --output csv.",
    "--format": _FORM,
    "--force": "Use --yes to skip the question; for a session that hangs, 'mpsbridge end' has --force-after 10m.",
    **dict.fromkeys(("--at", "--schedule"), "Use cron or a systemd timer for the hour: mpsbridge starts immediately."),
    **dict.fromkeys(("--reboot", "--restart"), _ALL_RESTART),
    "--shutdown": "Use 'mpsbridge end HOST --all --then shutdown'.",
    "--sender": "Set the sender in the settings file or with MPSBRIDGE_SENDER; 'mpsbridge end' has the option.",
    **dict.fromkeys(("--host", "--hosts", "--server", "--computer"), "Write the host as a word: it is not an option."),
    **dict.fromkeys(("--ssl", "--tls", "--https"), "Leave it out: HTTPS is the default, and --no-tls turns it off."),
    "--http": "Use --no-tls.",
    "--domain": "Use --username 'DOMAIN\\NAME'.",
    "--group": "Write the group as a host: 'mpsbridge sessions GROUP'.",
    "--sort": "Use --output jsonl or csv and sort that.",
    "--for": "Leave it out: a hold stays until 'mpsbridge release'.",
    **dict.fromkeys(("--last", "-n", "--limit"), "Use --since 7d: 'mpsbridge history' lists the newest first."),
    "--list": "Use 'mpsbridge history': it lists all runs.",
    "--no-header": "Use --output csv or --output jsonl for programs.",
}
"""By the word that is typed as an option, where the command has none of that name."""
