# SPDX-License-Identifier: Apache-2.0
"""Goal: check_text.py passes the tree and fails on one sample of each thing it looks for."""
import pathlib
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
import check_text

LICENCE = "// " + check_text.LICENCE + "\n"


class CheckText(unittest.TestCase):
    def check(self, name, text):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            return list(check_text.problems(folder))

    def fails(self, name, text, word):
        found = self.check(name, text)
        self.assertEqual(len(found), 1, found)
        self.assertTrue(found[0].startswith(name + ":"), found)
        self.assertIn(word, found[0])

    def test_this_repository_is_clean(self):
        self.assertEqual(list(check_text.problems(ROOT)), [])

    def test_a_clean_file_passes(self):
        self.assertEqual(self.check("src/a.cpp", LICENCE + '#include "/usr/include/x.h"  // ~/models, $HOME/work/x\n'), [])

    def test_machine_paths_fail(self):
        for path in ["/ho" + "me/ann/x", "/ro" + "ot/x", "/wo" + "rk/main", "/Us" + "ers/ann/x"]:
            self.fails("docs/a.txt", f"see {path}\n", "one machine")

    def test_registry_hosts_fail(self):
        for host in ["pypi" + ".org", "crates" + ".io", "registry.npmjs" + ".org", "deb.debian" + ".org"]:
            self.fails("docs/a.txt", f"curl https://{host}/x\n", "registry")

    def test_cargos_registry_id_passes_in_a_lock_file(self):
        self.assertEqual(self.check("Cargo.lock", f'source = "{check_text.CARGO_ID}"\n'), [])

    def test_unfinished_work_fails_in_src_only(self):
        self.fails("src/a.h", LICENCE + "// TO" + "DO: more\n", "unfinished")
        self.fails("src/a.h", LICENCE + "// FIX" + "ME\n", "unfinished")
        self.assertEqual(self.check("docs/a.md", "a TO" + "DO list\n"), [])

    def test_a_missing_licence_line_fails(self):
        for name in ["src/a.cpp", "scripts/a.py", "scripts/a.sh"]:
            self.fails(name, "\n" * 5 + LICENCE, "lacks")

    def test_a_large_file_fails(self):
        self.fails("data.bin", "x" * (check_text.BYTES_MAX + 1), "bytes")

    def test_a_broken_link_fails(self):
        self.fails("docs/a.md", "[x](b.md#part)\n", "b.md")
        self.assertEqual(self.check("docs/a.md", "[x](a.md#part) [y](https://example.org/z) [z](#here)\n"), [])


if __name__ == "__main__":
    unittest.main()
