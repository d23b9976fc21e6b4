# SPDX-License-Identifier: Apache-2.0
"""Goal: scripts/setup.sh refuses an unknown purpose and, on a machine that has everything, asks for less than a
second of computing."""
import os
import pathlib
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def setup(purpose, **environment):
    return subprocess.run([ROOT / "scripts" / "setup.sh", purpose], capture_output=True, text=True, timeout=60,
                          check=False, **environment)


class Setup(unittest.TestCase):
    def test_an_unknown_purpose_is_wrong_usage(self):
        result = setup("everything")
        self.assertEqual(result.returncode, 2)
        self.assertIn("'everything'", result.stderr)

    def test_it_is_quiet_and_quick_when_nothing_is_missing(self):
        first = setup("build")
        self.assertEqual((first.returncode, first.stdout), (0, ""), first.stderr)
        before = os.times()
        setup("build")
        after = os.times()
        self.assertLess(after.children_user + after.children_system - before.children_user - before.children_system, 1.0)

    def test_the_lists_name_each_package_once(self):
        names = [line for line in (ROOT / "scripts" / "packages.txt").read_text().splitlines()
                 if line and not line.startswith(("#", "["))]
        self.assertEqual(sorted(set(names)), sorted(names))


if __name__ == "__main__":
    if not pathlib.Path("/usr/bin/dpkg-query").exists():
        print("skipped: no dpkg-query here, so setup.sh has nothing to look at")
        sys.exit(77)
    unittest.main()
