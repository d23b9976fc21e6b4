#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A kernel's entry in the registry is compiled for every processor: all_kernels() calls each of them, before anything
knows what this one can do. Fails where one stands between DW_..._BEGIN and DW_ISA_END, or that pair is not whole.

Usage: check_isa.py [ROOT]   (ROOT holds src/; default: the current folder)
"""
import pathlib
import re
import sys

BEGIN = re.compile(r"DW_\w+_BEGIN\b")
END = re.compile(r"DW_ISA_END\b")
ENTRY = re.compile(r"Kernel\s+kernel_\w+\s*\(")


def problems(root):
    """One line for each wrong place, as FILE:LINE: what."""
    folder = pathlib.Path(root, "src", "engine", "kernels")
    for file in sorted(folder.rglob("*.cpp")):
        name = file.relative_to(root).as_posix()
        begin = 0
        for number, line in enumerate(file.read_text().splitlines(), 1):
            if BEGIN.match(line):
                if begin:
                    yield f"{name}:{number}: a second BEGIN before the DW_ISA_END of line {begin}"
                begin = number
            elif END.match(line):
                if not begin:
                    yield f"{name}:{number}: DW_ISA_END without a BEGIN"
                begin = 0
            elif begin and ENTRY.match(line):
                yield f"{name}:{number}: would crash older processors at start; put DW_ISA_END above it"
        if begin:
            yield f"{name}:{begin}: no DW_ISA_END follows"


def main():
    found = list(problems(sys.argv[1] if len(sys.argv) > 1 else "."))
    for line in found:
        print(line, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
