"""The command ``mpsbridge``. ``--version`` is answered before anything else is imported."""

from __future__ import annotations

import sys

from mpsbridge.version import __version__


def main() -> None:
    """Run the command line and exit with its code."""
    if sys.argv[1:] == ["--version"]:
        sys.stdout.write(f"mpsbridge {__version__}\n")
        sys.exit(0)
    from mpsbridge.cli.main import end_like_ctrl_c, run  # noqa: PLC0415 - see the module docstring

    end_like_ctrl_c()
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
