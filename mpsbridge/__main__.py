"""The command ``mpsbridge``. ``--version`` is answered before anything else is imported."""

from __future__ import annotations

import gc
import os
import sys

from mpsbridge.version import __version__


def main() -> None:
    """Run the command line and exit with its code."""
    if sys.argv[1:] == ["--version"]:
        sys.stdout.write(f"mpsbridge {__version__}\n")
        sys.exit(0)
    gc.set_threshold(20_000)  # what is loaded stays: to look through it for garbage every 700 objects finds none
    from mpsbridge.cli.leaving import INTERRUPTED, heed_signals  # noqa: PLC0415 - see the module docstring
    from mpsbridge.cli.main import run  # noqa: PLC0415 - the same

    heed_signals()
    code = run(sys.argv[1:])
    if code == INTERRUPTED:  # whoever interrupts does not wait for threads that talk to hosts which hang
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    main()
