"""The passphrase prompt, on a terminal of the test's own."""

import os
import pty
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import unittest

COFFER = os.path.join(os.environ.get("COFFER_BIN", "build"), "coffer")
QUESTION = b"Passphrase for "


def echoes(terminal):
    return bool(termios.tcgetattr(terminal)[3] & termios.ECHO)


class Prompt(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="coffer-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.store = os.path.join(self.folder, "store")
        passphrase = os.path.join(self.folder, "passphrase")
        with open(passphrase, "w", encoding="ascii") as file:
            file.write("correct horse\n")
        subprocess.run([COFFER, "init", self.store, "--passphrase-file", passphrase], check=True)
        self.ours, self.theirs = pty.openpty()
        self.addCleanup(os.close, self.ours)
        self.addCleanup(os.close, self.theirs)

    def asked(self):
        """A program that has asked its question on the terminal."""
        program = subprocess.Popen([COFFER, "fsck", self.store], stdin=self.theirs, stdout=subprocess.PIPE,
                                   stderr=self.theirs)
        self.addCleanup(program.stdout.close)
        said = b""
        while QUESTION not in said or not said.endswith(b": "):
            said += os.read(self.ours, 1000)
        self.assertFalse(echoes(self.theirs))
        return program

    def answered(self, line):
        program = self.asked()
        os.write(self.ours, line)
        code = program.wait(timeout=60)
        self.assertTrue(echoes(self.theirs))
        self.assertNotIn(line.strip(), os.read(self.ours, 1000))
        return code

    def test_the_right_passphrase_opens_without_being_shown(self):
        self.assertEqual(self.answered(b"correct horse\n"), 0)

    def test_a_wrong_passphrase_is_exit_4(self):
        self.assertEqual(self.answered(b"battery staple\n"), 4)

    def test_the_echo_is_back_after_an_interrupt(self):
        program = self.asked()
        program.send_signal(signal.SIGINT)
        self.assertEqual(program.wait(timeout=60), -signal.SIGINT)
        self.assertTrue(echoes(self.theirs))

    def test_without_a_terminal_there_is_no_prompt(self):
        done = subprocess.run([COFFER, "fsck", self.store], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
        self.assertEqual(done.returncode, 4)
        self.assertIn(b"--passphrase-file", done.stderr)


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=2))
