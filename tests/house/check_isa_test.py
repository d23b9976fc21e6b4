# SPDX-License-Identifier: Apache-2.0
"""Goal: check_isa.py passes the tree and fails where a registry entry is compiled for an instruction set."""
import pathlib
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
import check_isa

RUN = "namespace deepwell {\nvoid run() {}\n}\n"
ENTRY = "namespace deepwell {\nKernel kernel_avx2_op() { return {}; }\n}\n"


class CheckIsa(unittest.TestCase):
    def check(self, text):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "src/engine/kernels/avx2/op.cpp")
            path.parent.mkdir(parents=True)
            path.write_text(text)
            return list(check_isa.problems(folder))

    def test_this_repository_is_clean(self):
        self.assertEqual(list(check_isa.problems(ROOT)), [])

    def test_an_entry_after_the_region_passes(self):
        self.assertEqual(self.check("DW_AVX2_BEGIN\n" + RUN + "DW_ISA_END\n" + ENTRY), [])

    def test_an_entry_inside_fails_and_names_the_line(self):
        found = self.check("DW_AVX512_BF16_BEGIN\n" + RUN + ENTRY + "DW_ISA_END\n")
        self.assertEqual(len(found), 1)
        self.assertTrue(found[0].startswith("src/engine/kernels/avx2/op.cpp:6: "), found)

    def test_a_region_that_is_not_whole_fails(self):
        for text in ["DW_AVX2_BEGIN\n" + RUN, "DW_ISA_END\n", "DW_AVX2_BEGIN\nDW_AVX512_BEGIN\nDW_ISA_END\n"]:
            self.assertEqual(len(self.check(text)), 1, text)


if __name__ == "__main__":
    unittest.main()
