"""A Windows DLL that exports one name and forwards it to another DLL: an export table and nothing else (PE format).

``python forwarder.py FOLDER`` writes the one that Wine 8 lacks: what is written in Rust asks ``bcryptprimitives.dll``
for random bytes, by a name that ``advapi32.dll`` has, too, under an older one.
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path

_RVA, _ALIGNED = 0x1000, 0x200
_DIRECTORY = struct.Struct("<IIHHIIIIIII")
_MACHINE_AMD64, _IS_DLL, _PE32_PLUS = 0x8664, 0x2022, 0x20B
_READABLE_DATA = 0x40000040


def forwarder(dll: str, name: str, target: str) -> bytes:
    """The file of ``dll``, whose one export ``name`` is ``target`` (``DLL.NAME``)."""
    texts = [text.encode("ascii") + b"\0" for text in (dll, name, target)]
    address = _RVA + _DIRECTORY.size  # of the function; then the pointer to its name, and its ordinal
    at = address + 4 + 4 + 2
    places = [at, at + len(texts[0]), at + len(texts[0]) + len(texts[1])]
    directory = _DIRECTORY.pack(0, 0, 0, 0, places[0], 1, 1, 1, address, address + 4, address + 8)
    section = directory + struct.pack("<IIH", places[2], places[1], 0) + b"".join(texts)
    dos = b"MZ".ljust(0x3C, b"\0") + struct.pack("<I", 0x40)
    coff = struct.pack("<HHIIIHH", _MACHINE_AMD64, 1, 0, 0, 0, 240, _IS_DLL)
    optional = struct.pack("<HBBIIIII", _PE32_PLUS, 14, 0, 0, _ALIGNED, 0, 0, 0)
    versions = (6, 0, 0, 0, 6, 0)
    optional += struct.pack("<QII6HIIIIHH", 0x180000000, _RVA, _ALIGNED, *versions, 0, 0x2000, _ALIGNED, 0, 2, 0)
    optional += struct.pack("<QQQQII", 0x100000, 0x1000, 0x100000, 0x1000, 0, 16)
    optional += struct.pack("<II", _RVA, len(section)) + b"\0" * 120
    header = struct.pack("<8sIIIIIIHHI", b".edata", len(section), _RVA, _ALIGNED, _ALIGNED, 0, 0, 0, 0, _READABLE_DATA)
    return (dos + b"PE\0\0" + coff + optional + header).ljust(_ALIGNED, b"\0") + section.ljust(_ALIGNED, b"\0")


if __name__ == "__main__":
    name = "bcryptprimitives.dll"
    (Path(sys.argv[1]) / name).write_bytes(forwarder(name, "ProcessPrng", "advapi32.SystemFunction036"))
