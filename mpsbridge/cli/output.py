r"""What leaves the program: one way out for tables, documents, lines, notes and event files.

Writing never raises, and text that an encoding lacks is escaped (``\u041f``, which JSON reads back as what it was). A
stream that cannot be written is *lost*: that is said once, on standard error, and what else is written to it goes
nowhere. So a full disk, a closed pipe or a terminal that is gone never reaches the work that a call does.

What a lost output does to the exit code (:func:`code_after`), which is how a script learns of it:

* standard output cannot be written (full, closed, an error of the device): 0 becomes 1; any other code stays;
* whoever reads standard output went away (``| head``): a call that only reads ends early, quietly, with 0; a call that
  acts goes on, keeps its code, and writes its whole answer to standard error;
* a file that was asked for (``--events``) cannot be written: 0 becomes 1, at the command that writes it;
* standard error cannot be written: nothing changes; it holds no answer.

Rule: only this file writes to a file descriptor, and it imports nothing of the package.
"""

from __future__ import annotations

import _thread
import codecs
import errno
import io
import os
import select
import sys
import threading
from contextlib import contextmanager, suppress

TYPE_CHECKING = False  # typing would be half of what --version loads
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

ESCAPE = "mpsbridge.escape"
"""The name by which :meth:`str.encode` finds the escaping."""
INTERRUPTED = 130
PENDING_LIMIT = 1 << 16
"""Characters that wait for a flush."""
LAST_WORDS_S = 1.0
"""How long a process that leaves immediately waits for a standard error that takes nothing."""


def _escape(error: UnicodeError) -> tuple[str, int]:
    """Escape what cannot be encoded, as JSON does: beyond U+FFFF in two halves."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2)), error.end


codecs.register_error(ESCAPE, _escape)


class Stream(io.TextIOBase):
    """Text that goes to ``inner``, or nowhere where that is ``None`` (closed before the program began).

    ``name`` is what a person calls it; ``beside`` is the stream on which its loss is told. Nothing here raises
    ``OSError``. Text is sent when it is flushed; may be used from several threads.
    """

    def __init__(
        self, inner: TextIO | None, name: str, *, beside: Stream | None = None, is_answer: bool = True
    ) -> None:
        super().__init__()
        self._inner = inner
        self._name = name
        self._beside = beside
        self._is_answer = is_answer
        self._lock = threading.RLock()
        self._pending: list[str] = []
        self._kept: list[str] | None = None
        self.is_used = False
        """Whether anything was written to it."""
        self.lost: OSError | ValueError | None = None
        """Why it cannot be written, once that is known."""

    @property
    def encoding(self) -> str:  # type: ignore[override]  # typeshed has an attribute there
        """Of the bytes that leave."""
        return getattr(self._inner, "encoding", None) or "utf-8"

    @property
    def reader_left(self) -> bool:
        """Whether it is a pipe that nobody reads any more."""
        return isinstance(self.lost, OSError) and self.lost.errno in {errno.EPIPE, errno.ESHUTDOWN}

    @property
    def must_arrive(self) -> bool:
        """Whether what is written is told on the other stream where this one is lost."""
        return self._kept is not None

    def keep_answer(self) -> None:
        """From here on what is written must arrive: where it cannot, the stream ``beside`` gets all of it."""
        if self._kept is None:
            self._kept = []

    def isatty(self) -> bool:
        """Whether a person sees it."""
        try:
            return self._inner is not None and self._inner.isatty()
        except ValueError:  # closed
            return False

    def fileno(self) -> int:
        """The file descriptor. Raises ``OSError`` where there is none."""
        if self._inner is None:
            raise io.UnsupportedOperation(f"{self._name} is closed")
        return self._inner.fileno()

    def writable(self) -> bool:
        """Always: what cannot be written is dropped."""
        return True

    def write(self, text: str) -> int:
        """Take text in; it leaves with the next flush."""
        if not isinstance(text, str):  # as every text stream: libraries find out so what a stream takes
            raise TypeError(f"{self._name} takes text, not {type(text).__name__}")
        with self._lock:
            self.is_used = True
            self._pending.append(text)
            if len(text) >= PENDING_LIMIT or len(self._pending) >= PENDING_LIMIT:
                self.flush()
        return len(text)

    def flush(self) -> None:
        """Send what was written."""
        with self._lock:
            text, self._pending = "".join(self._pending), []
            if not text:
                return
            if self._kept is not None:
                self._kept.append(text)
            if self.lost is None:
                try:
                    self._send(encodable(text, self.encoding))
                except (OSError, ValueError) as error:
                    self._lose(error)
                return
            if self._kept is not None and self._beside is not None:
                self._beside.write(text)
                self._beside.flush()

    def close(self) -> None:
        """Send what was written; the stream below stays open."""
        self.flush()

    def _send(self, text: str) -> None:
        if self._inner is None:
            raise OSError(errno.EBADF, "it is closed")
        self._inner.flush()  # what others wrote to it
        raw = getattr(getattr(self._inner, "buffer", None), "raw", None)
        if raw is None:
            self._inner.write(text)
            self._inner.flush()
            return
        # Past the buffers: what they could not get rid of they would try to write again when the process ends.
        unsent = memoryview(text.replace("\n", os.linesep).encode(self.encoding))
        while unsent:
            sent = raw.write(unsent)
            if sent is None:  # a pipe that some program has set not to block
                select.select([], [raw], [])
            else:
                unsent = unsent[sent:]

    def _lose(self, error: OSError | ValueError) -> None:
        self.lost = error
        if self._beside is None or (self.reader_left and self._is_answer and self._kept is None):
            return  # who has enough of an answer need not be told
        follows = "; the answer follows here" if self._kept is not None else ""
        self._beside.write(f"mpsbridge: {self.loss}{follows}\n{''.join(self._kept or ())}")
        self._beside.flush()

    @property
    def loss(self) -> str:
        """Why it cannot be written, as a sentence."""
        if self.reader_left:
            return f"{self._name} is not read any more"
        return f"{self._name} cannot be written: {getattr(self.lost, 'strerror', None) or self.lost}"


def encodable(text: str, encoding: str) -> str:
    """The text with all escaped that the encoding lacks; lone surrogates always are."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.encode(encoding, ESCAPE).decode(encoding)
    return text


class Standard:
    """The streams of a call."""

    def __init__(self, out: Stream, err: Stream) -> None:
        self.out = out
        self.err = err


def standard() -> Standard:
    """The streams of the call that runs; outside one, streams over what there is."""
    err = sys.stderr if isinstance(sys.stderr, Stream) else Stream(sys.stderr, "standard error")
    out = sys.stdout if isinstance(sys.stdout, Stream) else Stream(sys.stdout, "standard output", beside=err)
    return Standard(out, err)


@contextmanager
def guarded_streams() -> Iterator[Standard]:
    """While the block runs, all that is printed, by whomever, goes through streams that do not raise."""
    streams, before = standard(), (sys.stdin, sys.stdout, sys.stderr)
    sys.stdout, sys.stderr = streams.out, streams.err
    nothing = None
    if before[0] is None:
        sys.stdin = nothing = open(os.devnull, encoding="utf-8")  # noqa: PTH123, SIM115 - closed below
    try:
        yield streams
    finally:
        for stream in (streams.out, streams.err):
            stream.flush()
        sys.stdin, sys.stdout, sys.stderr = before
        if nothing is not None:
            nothing.close()


def code_after(code: int, out: Stream, *, was_interrupted: bool = False) -> int:
    """The exit code of a call of which ``out`` may be lost; see the rules of this file."""
    if out.lost is None:
        return code
    if not out.reader_left:
        return code or 1
    return code if out.must_arrive or was_interrupted else 0


def fill_descriptors() -> None:
    """Open what was closed of 0, 1 and 2 (``>&-``) to nothing, so that no file that is opened later gets its number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            with suppress(OSError):
                os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # noqa: FBT003 - it takes no keyword


def say_at_once(text: str) -> None:
    """Write to standard error, whoever holds a lock on it, and wait no longer than a second for it; never raises.

    May be called in a signal handler: it takes no lock that the interrupted thread can hold.
    """
    done = _thread.allocate_lock()
    done.acquire()

    def write() -> None:
        with suppress(OSError):
            os.write(2, text.encode("utf-8", ESCAPE))
        done.release()

    try:
        _thread.start_new_thread(write, ())
    except RuntimeError:  # no thread can be had
        return
    done.acquire(timeout=LAST_WORDS_S)
