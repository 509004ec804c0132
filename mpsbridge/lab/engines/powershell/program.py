"""Stands for one program of Windows (``quser.exe`` and so on): asks the lab's desk, prints what it says.

Called by a two-line shell script as ``program.py SOCKET HOST PROGRAM ARGUMENTS...``, with nothing but the standard
library: it is started once for each program that a script starts.
"""

import base64
import json
import os
import socket
import sys


def main(desk: str, host: str, program: str, *arguments: str) -> int:
    """Ask, print, and return the exit code."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(desk)
        client.sendall(json.dumps({"host": host, "program": program, "arguments": arguments}).encode() + b"\n")
        with client.makefile("rb") as answers:
            answer = json.loads(answers.readline())
    for number, stream in ((1, "out"), (2, "err")):
        with os.fdopen(number, "wb") as output:
            output.write(base64.b64decode(answer[stream]))
    return int(answer["exit"])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
