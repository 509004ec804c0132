"""Make-believe hosts of every kind, for tests that hold for all of them."""

from __future__ import annotations

from typing import Any

from support.reserved import leased, weak_folder


def session(number: int, user: str, hour: int = 9, **more: Any) -> dict[str, Any]:
    return {"id": number, "user": user, "logon": f"2026-11-25T{hour:02}:{number % 60:02}:00Z", **more}


PEOPLE = [
    session(2, "alice", idle_s=5),
    session(3, "Jörg Müller", state="disconnected", idle_s=7210),
    session(4, "carol", session_name="console", admin=True),
    session(7, "a-name-longer-than-20-cells", idle_s=90_000, client="PC-7"),
]
LEASE = '{"run": "other", "owner": "bob", "expires": "%s"}'
LANGUAGES = [
    {"name": language, "language": language, "sessions": PEOPLE, "utc_offset_min": offset, **more}
    for language, offset, more in (
        ("en", 0, {"pending_reboot": ["RebootPending", "PendingFileRenameOperations"], "agents": ["BrokerAgent"]}),
        ("de", 60, {"generation": "2016"}),
        ("fr", 120, {"culture": "fr-BE", "rights": "rds", "logon_mode": "disabled"}),
        ("es", -360, {"culture": "es-MX", "generation": "2012"}),
        ("it", 60, {"wide": True, "broker": True}),
        ("pt", -180, {"rights": "user"}),
        ("ru", 180, {"oem": 866}),
        ("zh-CN", 480, {"generation": "2016", "rights": "rds"}),
        ("ja", 540, {"logon_mode": "drain", **leased(LEASE % "20200101000000.000000+000")}),
    )
]
STATIONS = {
    "stations": [
        {"id": 1, "name": "Fenêtre", "session_id": 2},
        {"id": 2, "name": "Zwei", "auto_logon": True, "session_id": 4},
        {"id": 3, "name": "it's <3>"},
    ],
    "sessions": PEOPLE,
}
SPECIAL: list[dict[str, Any]] = [
    {"name": "nobody"},
    {"name": "nobody-blind", "rights": "user", "generation": "2016"},
    {"name": "stations-2012", "generation": "2012", **STATIONS},
    {"name": "stations-2016", "generation": "2016", **STATIONS},
    {"name": "protected-2016", "generation": "2016", "sessions": [session(2, "alice", protected=True)]},
    {"name": "hung", "sessions": [session(2, "alice", hung=True), session(3, "bob")]},
    {"name": "lingers", "sessions": [session(2, "alice", linger_s=3600), session(3, "bob", logoff_s=3600)]},
    {"name": "own", "caller_session": 2, "sessions": [session(2, "alice"), session(3, "bob")]},
    {"name": "leased", **leased(LEASE % "20991231235959.000000+000"), "sessions": PEOPLE},
    {
        "name": "lease-planted",
        **leased(LEASE % "20991231235959.000000+000"),
        **weak_folder(),
        "sessions": PEOPLE,
    },
    {"name": "folder-writable", **weak_folder(), "sessions": PEOPLE},
    {"name": "lease-damaged", **leased("{'"), "sessions": PEOPLE},
    {"name": "starting", "ready_s": 3600, "boots_twice": True, "sessions": PEOPLE},
    *(
        {
            "name": f"administrators-{kind}",
            "administrators": kind,
            "sessions": [session(2, "alice", admin=True, admin_by_group=True), session(3, "bob"), *PEOPLE[2:3]],
        }
        for kind in ("group", "unnoted", "broken", "unreadable")
    ),
    {"name": "administrators-rds", "rights": "rds", "administrators": "group", "sessions": PEOPLE},
    {"name": "lacks", "lacks": ["chglogon.exe", "shutdown.exe"], "sessions": PEOPLE},
    {
        "name": "odd",
        "logons_stuck": True,
        "sessions": [
            session(2, "alice", ignores=True),
            session(3, "bob", orphaned=True),
            session(4, "carol", unreadable=True),
            session(5, "dave", winlogon=False),
            session(6, "erin", state_text="Conn.", idle_text="none", logon_text="11/25/26 9:06"),
        ],
    },
    {"name": "captured-ru", "language": "ru", "playback": "ru"},
    {"name": "captured-zh", "language": "zh-CN", "playback": "zh-CN"},
]
HOSTS = [*LANGUAGES, *SPECIAL]
