# SPDX-License-Identifier: Apache-2.0
"""A program on a terminal of its own: what it has on the screen, and keys for it. Uses pyte, of Debian's python3-pyte,
also where another Python than Debian's runs the tests."""
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time

sys.path.append("/usr/lib/python3/dist-packages")
import pyte  # noqa: E402


class Screen:
    def __init__(self, argv, env=None, rows=24, columns=80):
        self.raw = b""
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.environ.update(env or {})
            os.execv(argv[0], [str(a) for a in argv])
        self.screen = pyte.Screen(columns, rows)
        self.stream = pyte.ByteStream(self.screen)
        self.status = None
        self.resize(rows, columns)

    def resize(self, rows, columns):
        self.screen.resize(rows, columns)
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def keys(self, text):
        os.write(self.terminal, text.encode())

    def pump(self, seconds):
        """Take what the program writes, for at most so long. False: it has ended."""
        if not select.select([self.terminal], [], [], seconds)[0]:
            return True
        try:
            part = os.read(self.terminal, 65536)
        except OSError:
            return False
        self.raw += part
        self.stream.feed(part)
        return bool(part)

    def lines(self):
        return [line.rstrip() for line in self.screen.display]

    def until(self, condition, what, timeout=20):
        """Wait until condition(lines) is true and give its value back."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            value = condition(self.lines())
            if value:
                return value
            if not self.pump(0.1):
                break
        raise AssertionError(f"{what} was not seen on the screen:\n" + "\n".join(self.lines()))

    def shows(self, text, timeout=20):
        return self.until(lambda lines: next((line for line in lines if text in line), None), repr(text), timeout)

    def end(self, sig=None, timeout=20):
        """Send a signal, if any; the exit code once the program has ended and all of its output is read."""
        if sig:
            os.kill(self.pid, sig)
        deadline = time.monotonic() + timeout
        while self.pump(0.1):
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
                raise AssertionError("it did not end:\n" + "\n".join(self.lines()))
        if self.status is None:
            self.status = os.waitpid(self.pid, 0)[1]
            os.close(self.terminal)
        return os.waitstatus_to_exitcode(self.status)

    def local_modes(self):
        return termios.tcgetattr(self.terminal)[3]
