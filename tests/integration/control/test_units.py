#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""packaging/systemd: systemd understands the units, and each program that they start knows its options."""
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from fleet_control import HERE
from support import BIN, run

UNITS = HERE.parents[2] / "packaging/systemd"


class Units(unittest.TestCase):
    @unittest.skipUnless(shutil.which("systemd-analyze"), "systemd is not installed")
    def test_systemd_understands_them(self):
        with tempfile.TemporaryDirectory() as folder:
            paths = []
            for unit in sorted(UNITS.glob("*.service")):
                path = pathlib.Path(folder, unit.name.replace("@", "@io"))
                path.write_text(unit.read_text().replace("/usr/bin/", f"{BIN}/"))
                paths.append(path)
            self.assertEqual(len(paths), 5)
            done = subprocess.run(["systemd-analyze", "verify", "--man=no", *paths], capture_output=True, text=True, timeout=60)
            self.assertEqual((done.returncode, [line for line in done.stderr.splitlines() if folder in line]), (0, []), done.stderr)

    def test_programs_know_their_options(self):
        for unit in UNITS.glob("*.service"):
            program, *options = re.search(r"^ExecStart=/usr/bin/(.*)$", unit.read_text(), re.M)[1].split()
            known = run(program, "--help")[1]
            for option in options:
                if option.startswith("--"):
                    self.assertIn(f"  {option} ", known, unit.name)


if __name__ == "__main__":
    unittest.main()
