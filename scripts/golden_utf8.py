#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/golden/stream/utf8.json: byte strings and what Python's decode("utf-8", "replace") makes of them.

Usage: scripts/golden_utf8.py    (needs nothing but Python 3)
"""

import itertools
import json
import pathlib
import random

OUT = pathlib.Path(__file__).resolve().parent.parent / "tests" / "golden" / "stream" / "utf8.json"
# One byte of every class that the well-formedness table of Unicode tells apart.
CLASSES = bytes([0x41, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC2, 0xDF, 0xE0, 0xE1, 0xED, 0xEE, 0xF0, 0xF1,
                 0xF4, 0xF5, 0xFF])


def main() -> None:
    cases = {bytes(t) for n in (1, 2, 3) for t in itertools.product(CLASSES, repeat=n)}
    seeded = random.Random(1)
    while len(cases) < 12000:
        cases.add(bytes(seeded.choice(CLASSES) for _ in range(seeded.randint(4, 9))))
    for text in ("héllo", "中文字符", "👩‍👩‍👧‍👦 👍🏽", "\x00\x7f", "\ufffd\uffff\U0010ffff", "ก็้์"):
        whole = text.encode()
        cases.update(whole[a:b] for a in range(len(whole)) for b in range(a + 1, len(whole) + 1))
    rows = [[c.hex(), c.decode("utf-8", "replace")] for c in sorted(cases)]
    OUT.parent.mkdir(parents=True, exist_ok=True)
    body = ",\n".join(json.dumps(r, ensure_ascii=True, separators=(",", ":")) for r in rows)
    OUT.write_text('{"made_by":"scripts/golden_utf8.py","cases":[\n' + body + "\n]}\n")
    print(f"{OUT.name}: {len(rows)} cases, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
