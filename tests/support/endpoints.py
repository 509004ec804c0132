"""The exported JEA module on a make-believe host, read and served by PowerShell's own code.

``publish`` writes the export below the host's module path, as an administrator would copy it; ``endpoint`` gives a
program that is a restricted PowerShell for one role, for the local transport. Windows' own parts are left out: the
virtual account, the execution policy, the transcript, and who is in which group.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

from mpsbridge.models.targets import Target
from mpsbridge.snippets.jea import CONFIGURATION, MODULE, Role, export
from mpsbridge.transports.local import LocalTransport
from support.pwsh import SCRIPTS
from support.windows import Windows

GROUPS = {role: [f"LAB\\{role}"] for role in Role}
WINDOWS_ONLY = re.compile(r"^ *(ExecutionPolicy|RunAsVirtualAccount|TranscriptDirectory) .*\n", re.MULTILINE)
TARGET = Target(host="local", address="localhost", kind="local", configuration_name="mpsbridge")


def publish(host: Windows) -> Path:
    """Write the export and what Windows has beside it; the session configuration."""
    modules = host.folder / "modules"
    for name, text in export(GROUPS).items():
        path = modules / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8-sig")
    cim = modules / "CimCmdlets" / "CimCmdlets.psm1"
    cim.parent.mkdir()
    cim.write_text((SCRIPTS / "cim.psm1").read_text())
    configuration = modules / CONFIGURATION
    configuration.write_text(WINDOWS_ONLY.sub("", configuration.read_text("utf-8-sig")), encoding="utf-8-sig")
    return configuration


def endpoint(host: Windows, role: Role) -> Path:
    """The program. The role's lines stand in the configuration itself: who has which role only Windows can tell."""
    text = publish(host).read_text("utf-8-sig")
    capability = (host.folder / "modules" / MODULE / "RoleCapabilities" / f"{role.capability}.psrc").read_text(
        "utf-8-sig"
    )
    lines = capability[capability.index("@{") + 2 :].replace("    Description ", "    # ", 1)
    flat = host.folder / "endpoint.pssc"
    flat.write_text(text[: text.index("    RoleDefinitions")] + lines.lstrip("\n"), encoding="utf-8-sig")
    script = f'"{SCRIPTS}/endpoint.ps1" -Folder "{host.folder}" -Configuration "{flat}"'
    return host.program("restricted-pwsh", f"-NoProfile -NonInteractive -File {script}")


def connect(host: Windows, role: Role) -> LocalTransport:
    """A transport to the endpoint, as an account with that role sees it."""
    return LocalTransport(TARGET, engine=endpoint(host, role))


def attempts(host: Windows, configuration: Path, role: Role, calls: list[dict[str, Any]]) -> list[str]:
    """What comes of each call by somebody in the role's group, in one session, as PowerShell itself reads the files.

    A call is ``{"command", "parameters"}`` or ``{"text"}``; a parameter ``{"block": TEXT}`` is a script block. The
    result is ``answered`` and the texts of what came out, or ``failed`` and PowerShell's error id.
    """
    path = host.folder / "attempts.json"
    path.write_text(json.dumps({"calls": calls}))
    words = ["-Folder", str(host.folder), "-Configuration", str(configuration), "-Group", GROUPS[role][0]]
    script = ["-NoProfile", "-NonInteractive", "-File", str(SCRIPTS / "attempts.ps1"), *words, "-Calls", str(path)]
    environment = os.environ | host.environment
    done = subprocess.run(
        [str(host.engine), *script], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return [base64.b64decode(line).decode() for line in done.stdout.splitlines()]
