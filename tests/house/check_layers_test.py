# SPDX-License-Identifier: Apache-2.0
"""Goal: check_layers.py passes the tree and fails each way an include can point up or sideways."""
import pathlib
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
import check_layers


class CheckLayers(unittest.TestCase):
    def check(self, files):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in files.items():
                path = pathlib.Path(folder, "src", name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            return list(check_layers.problems(folder))

    def test_this_repository_is_clean(self):
        self.assertEqual(list(check_layers.problems(ROOT)), [])

    def test_down_and_within_a_layer_pass(self):
        self.assertEqual(self.check({
            "engine/run/a.cpp": '#include "base/result.h"\n#include "engine/models/model.h"\n#include <vector>\n',
            "engine/kernels/avx2/a.cpp": '#include "engine/kernels/kernel.h"\n#include "engine/quant/q.h"\n',
            "cli/commands/a.cpp": '#include "cli/command.h"\n#include "engine/tensor/type.h"\n#include "text/chat/a.h"\n',
            "server/api/a.cpp": '#include "net/http/a.h"\n#include "store/a.h"\n',
        }), [])

    def test_up_fails_and_names_the_line(self):
        found = self.check({"base/a.h": '// first line\n#include "engine/run/engine.h"\n'})
        self.assertEqual(len(found), 1)
        self.assertTrue(found[0].startswith("src/base/a.h:2: base includes"), found)

    def test_sideways_fails(self):
        for name, include in [("engine/formats/a.cpp", "engine/quant/b.h"), ("engine/kv/a.cpp", "engine/nn/b.h"),
                              ("text/chat/a.cpp", "engine/tensor/b.h"), ("net/a.cpp", "server/b.h"),
                              ("store/a.cpp", "net/b.h"), ("engine/run/a.cpp", "text/tokenizer/b.h"),
                              ("server/a.cpp", "cli/b.h")]:
            with self.subTest(name=name):
                self.assertEqual(len(self.check({name: f'#include "{include}"\n'})), 1)

    def test_a_way_around_the_names_fails(self):
        self.assertEqual(len(self.check({"base/a.cpp": '#  include "../engine/run/engine.h"\n'})), 1)
        self.assertEqual(len(self.check({"base/a.cpp": '#include "elsewhere/engine.h"\n'})), 1)

    def test_a_folder_outside_all_layers_fails(self):
        self.assertEqual(len(self.check({"misc/a.cpp": "\n"})), 1)

    def test_the_program_exits_with_1_on_a_finding_and_2_without_src(self):
        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual(check_layers.main(["", folder]), 2)
            pathlib.Path(folder, "src", "base").mkdir(parents=True)
            self.assertEqual(check_layers.main(["", folder]), 0)
            pathlib.Path(folder, "src", "base", "a.h").write_text('#include "net/a.h"\n')
            self.assertEqual(check_layers.main(["", folder]), 1)


if __name__ == "__main__":
    unittest.main()
