"""The command ``mpsbridge``. ``--version`` is answered before anything is imported but the way out."""

from __future__ import annotations

import gc
import os
import sys

from mpsbridge.version import __version__

TYPE_CHECKING = False  # typing would be half of what --version loads
if TYPE_CHECKING:
    from mpsbridge.clock import Clock


def main(clock: Clock | None = None) -> None:
    """Run the command line, living by ``clock`` where one is given, and exit with its code."""
    try:
        from mpsbridge.cli.output import code_after, fill_descriptors, guarded_streams  # noqa: PLC0415 - see above

        fill_descriptors()
        if sys.argv[1:] == ["--version"]:
            with guarded_streams() as streams:
                streams.out.write(f"mpsbridge {__version__}\n")
            sys.exit(code_after(0, streams.out))
        from mpsbridge.cli.leaving import INTERRUPTION, install_signal_handlers, leave  # noqa: PLC0415 - the same

        install_signal_handlers()
        os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # none is wanted here, and looking takes 10 ms
        gc.set_threshold(100_000)  # what is loaded stays: to look through it for garbage every 700 objects finds none
        from mpsbridge.cli.main import run  # noqa: PLC0415 - the same

        code = run(sys.argv[1:], clock=clock)
        INTERRUPTION.is_held_back = True  # the code stands: a signal from here on changes nothing
    except KeyboardInterrupt:  # of a call that held nothing; whoever interrupts does not wait for threads
        os._exit(130)
    leave(code)


if __name__ == "__main__":
    main()
