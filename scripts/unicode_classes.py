#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes src/text/tokenizer/unicode_classes.cpp: the classes of every code point that pre-tokenizers ask for.

The classes are asked of the `tokenizers` package itself, not of Python's unicodedata: its regex engine and its
Digits pre-tokenizer each carry their own version of Unicode, and the tokenizer must agree with those.

Usage: scripts/unicode_classes.py        (needs `pip install tokenizers`; the file is committed)
"""
import pathlib

from tokenizers import Regex, pre_tokenizers

BLOCK = 128
# The class of the deepseek-llm pre-tokenizer: letters that have, or once had, a case.
CASED = """41-5A 61-7A B5 C0-D6 D8-F6 F8-1BA 1BC-1BF 1C4-293 295-2AF 370-373 376 377 37B-37D 37F 386 388-38A 38C
38E-3A1 3A3-3F5 3F7-481 48A-52F 531-556 10A0-10C5 13A0-13F5 13F8-13FD 1C90-1CBA 1CBD-1CBF 1D00-1D2B 1D6B-1D77
1D79-1D9A 1E00-1F15 1F18-1F1D 1F20-1F45 1F48-1F4D 1F50-1F57 1F59 1F5B 1F5D 1F5F-1F7D 1F80-1FB4 1FB6-1FBC 1FBE
1FC2-1FC4 1FC6-1FCC 1FD0-1FD3 1FD6-1FDB 1FE0-1FEC 1FF2-1FF4 1FF6-1FFC 2102 2107 210A-2113 2115 2119-211D 2124 2126
2128 212A-212D 212F-2134 2139 213C-213F 2145-2149 214E 2183 2184 2C00-2C7B 2C7E-2CE4 2CEB-2CEE 2CF2 2CF3 A640-A66D
A680-A69B A722-A76F A771-A787 A78B-A78E AB70-ABBF FB00-FB06 FB13-FB17 FF21-FF3A FF41-FF5A 10400-1044F 104B0-104D3
104D8-104FB 10C80-10CB2 10CC0-10CF2 118A0-118DF 1E900-1E943"""

POINTS = [c for c in range(1, 0x110000) if not 0xD800 <= c < 0xE000]


def matched(splitter):
    """The code points that the splitter, made with behaviour "removed", takes out."""
    out = set()
    for start in range(0, len(POINTS), 4096):
        chunk = POINTS[start:start + 4096]
        kept = "".join(piece for piece, _ in splitter.pre_tokenize_str("".join(map(chr, chunk))))
        out |= set(chunk) - set(map(ord, kept))
    return out


def numeric():
    """The code points that Digits takes for digits; it cannot remove, so look at where it cuts."""
    splitter = pre_tokenizers.Digits(individual_digits=True)
    return {c for c in POINTS if len(splitter.pre_tokenize_str("x" + chr(c) + "x")) == 3}


def cased_ranges():
    for part in CASED.split():
        first, _, last = part.partition("-")
        yield int(first, 16), int(last or first, 16)


def main():
    classes = bytearray(0x110000)
    for bit, pattern in enumerate([r"\p{L}", r"\p{N}", r"\p{P}", r"\p{S}", r"\p{M}", r"\s"]):
        for c in matched(pre_tokenizers.Split(Regex(pattern), "removed")):
            classes[c] |= 1 << bit
    for first, last in cased_ranges():
        for c in range(first, last + 1):
            classes[c] |= 64
    for c in numeric():
        classes[c] |= 128
    blocks, index = {}, []
    for start in range(0, 0x110000, BLOCK):
        index.append(blocks.setdefault(bytes(classes[start:start + BLOCK]), len(blocks)))
    assert len(blocks) <= 256, "unicode.h keeps the block of a point in a byte"

    def rows(values, per_line=40):
        return "\n".join("    " + "".join(f"{v}," for v in values[i:i + per_line]) for i in range(0, len(values), per_line))

    text = f"""// SPDX-License-Identifier: Apache-2.0
// Written by scripts/unicode_classes.py; do not edit.
#include "text/tokenizer/unicode.h"

// clang-format off
namespace deepwell::unicode {{

extern const std::uint8_t kBlockOfPoint[{len(index)}] = {{
{rows(index)}
}};

extern const std::uint8_t kClassesOfBlock[{len(blocks)} * {BLOCK}] = {{
{rows([v for block in blocks for v in block])}
}};

}}  // namespace deepwell::unicode
"""
    root = pathlib.Path(__file__).resolve().parent.parent
    (root / "src/text/tokenizer/unicode_classes.cpp").write_text(text)
    print(len(blocks), "blocks,", len(text), "bytes")


if __name__ == "__main__":
    main()
