"""Stands for one program of Windows (``quser.exe`` and so on): asks the lab's desk, prints what it says.

Called by a two-line shell script as ``program.py PROGRAM ARGUMENTS...``. It is started once for each program that a
script starts, so it imports next to nothing: the C module under ``socket`` starts three times as fast as ``socket``.
"""

import os
import sys

assert sys.platform != "win32"  # noqa: S101 - the engine is refused there; mypy reads on for other systems only
from _socket import AF_UNIX, SHUT_WR, SOCK_STREAM, socket  # noqa: E402


def main(words: list[bytes]) -> int:
    """Ask, print, and return the exit code."""
    desk = socket(AF_UNIX, SOCK_STREAM)
    desk.connect(os.environb[b"MPSBRIDGE_LAB_DESK"])
    desk.sendall(b"\0".join([os.environb[b"MPSBRIDGE_LAB_SEAT"], *words]))
    desk.shutdown(SHUT_WR)
    answer = b""
    while data := desk.recv(1 << 16):
        answer += data
    head, _, said = answer.partition(b"\n")
    if not head:
        return 1  # the lab ended meanwhile
    code, size = (int(number) for number in head.split())
    for stream, text in ((1, said[:size]), (2, said[size:])):
        with open(stream, "wb", closefd=False) as output:
            output.write(text)
    return code


if __name__ == "__main__":
    sys.exit(main([os.fsencode(word) for word in sys.argv[1:]]))
