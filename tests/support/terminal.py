"""A terminal of a test: a program on a pty, and what stands on the screen."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios

SEQUENCE = re.compile(rb"\x1b\[(\?)?([0-9;]*)([A-Za-z])")


class Terminal:
    """Knows the few sequences that the program may use, and fails on any other."""

    def __init__(self, command, columns=100, rows=30, term="xterm"):
        self.ours, theirs = pty.openpty()
        self.resize(columns, rows, tell=False)
        self.process = subprocess.Popen(
            list(map(str, command)), stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True,
            start_new_session=True, env={**os.environ, "TERM": term})
        os.close(theirs)
        self.raw = b""
        self.frames = []
        self.screen = [""] * rows
        self.row = self.column = 0
        self.is_alternate = False
        self.has_cursor = True

    def resize(self, columns, rows, tell=True):
        self.columns, self.rows = columns, rows
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        if tell:
            self.screen = [""] * rows
            self.process.send_signal(signal.SIGWINCH)

    def read(self, seconds=0.1):
        """Takes in what came; False at the end."""
        if not select.select([self.ours], [], [], seconds)[0]:
            return True
        try:
            piece = os.read(self.ours, 1 << 16)
        except OSError:
            return False
        self.raw += piece
        self.frames.append(piece)
        self.show(piece)
        return bool(piece)

    def show(self, piece):
        at = 0
        while at < len(piece):
            if piece[at] == 0x1b:
                found = SEQUENCE.match(piece, at)
                assert found, piece[at:at + 20]
                self.obey(*[(part or b"").decode() for part in found.groups()])
                at = found.end()
                continue
            end = at + 1
            while end < len(piece) and piece[end] not in b"\x1b\r\n":
                end += 1
            if piece[at] == 0x0d:
                self.column, end = 0, at + 1
            elif piece[at] == 0x0a:
                self.row, end = self.row + 1, at + 1
            else:
                self.put(piece[at:end].decode(errors="replace"))
            at = end

    def put(self, text):
        assert self.column + len(text) <= self.columns or not self.is_alternate, "it wraps"
        if self.row < len(self.screen):
            line = self.screen[self.row].ljust(self.column)
            self.screen[self.row] = line[:self.column] + text + line[self.column + len(text):]
        self.column += len(text)

    def obey(self, private, figures, letter):
        if private and letter in "hl" and figures in ("1049", "25"):
            if figures == "25":
                self.has_cursor = letter == "h"
            else:
                self.is_alternate = letter == "h"
        elif letter == "H" and not figures:
            self.row = self.column = 0
        elif letter == "K":
            self.screen[self.row] = self.screen[self.row][:self.column]
        elif letter == "J" and not figures:
            self.screen[self.row] = self.screen[self.row][:self.column]
            for row in range(self.row + 1, len(self.screen)):
                self.screen[row] = ""
        else:
            raise AssertionError(f"ESC [ {private}{figures}{letter}")

    def text(self):
        self.read()
        return "\n".join(self.screen).rstrip()

    def end(self, number=signal.SIGINT):
        """Ends the program; its exit code."""
        self.process.send_signal(number)
        while self.read(10):
            if self.process.poll() is not None and not select.select([self.ours], [], [], 0)[0]:
                break
        code = self.process.wait(10)
        os.close(self.ours)
        return code
