"""One or two calls for the help of each command. A test reads them: commands and options in them exist."""

from __future__ import annotations

EXAMPLES = {
    "sessions": ("mpsbridge sessions ts1 ts2", "mpsbridge sessions 'ts[01:40]' --idle-over 2h --watch 10s"),
    "stations": ("mpsbridge stations library-1",),
    "logons": ("mpsbridge logons ts1 ts2", "mpsbridge logons ts1 --set drain"),
    "doctor": ("mpsbridge doctor ts1 --username 'SCHOOL\\admin'",),
    "message": ("mpsbridge message ts1 --all --text 'Restart at noon: please save your work.'",),
    "disconnect": ("mpsbridge disconnect ts1 --user alice",),
    "logoff": ("mpsbridge logoff ts1 ts2 --user alice", "mpsbridge logoff ts1 --session 3 --dry-run"),
    "reset": ("mpsbridge reset ts1 --session 7",),
    "end": (
        "mpsbridge end ts1 --all --reason 'Windows updates' --then restart --dry-run",
        "mpsbridge end ts1 --idle-over 4h --warn 10m,1m --yes",
    ),
    "maintain": (
        "mpsbridge maintain --example > night.toml",
        "mpsbridge maintain night.toml --dry-run",
    ),
    "resume": ("mpsbridge resume --dry-run", "mpsbridge resume 20261130-0300 ts1"),
    "leases": ("mpsbridge leases ts1 ts2",),
    "hold": ("mpsbridge hold ts1 --reason 'examination until noon'",),
    "release": ("mpsbridge release ts1",),
    "history": ("mpsbridge history", "mpsbridge history 20261130-0300"),
    "report": ("mpsbridge report --format html > run.html", "mpsbridge report 20261130-0300 --format junit > run.xml"),
    "hosts": ("mpsbridge hosts 'school:!ts07' --inventory hosts.toml",),
    "parse": ("quser | mpsbridge parse", "mpsbridge parse saved.txt --encoding cp850"),
    "render": ("mpsbridge render observe",),
    "schema": ("mpsbridge schema", "mpsbridge schema sessions > sessions.schema.json"),
    "jea": ("mpsbridge jea export --look 'SCHOOL\\Teachers' --end 'SCHOOL\\Helpdesk'",),
    "docs": ("mpsbridge docs tasks", "mpsbridge docs --man ~/.local/share/man/man1"),
    "lab": ("mpsbridge lab --world hosts.toml --ready-file ready.json",),
    "demo": ("mpsbridge demo",),
}
"""By command."""


def epilog(command: str) -> str:
    """The end of a command's help."""
    return "\n".join(["Examples:", *(f"  {example}" for example in EXAMPLES[command])])
