#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Includes point down only: fails when a file under src includes a layer that is not below its own.

Usage: check_layers.py [ROOT]   (ROOT holds src/; default: the current folder)
"""
import pathlib
import re
import sys

# Each layer and the layers directly below it; what those may use, it may use too. A folder belongs to the longest
# name here that its path starts with.
BELOW = {
    "base": [],
    "engine/tensor": ["base"],
    "engine/formats": ["engine/tensor"],
    "engine/quant": ["engine/tensor"],
    "engine/checkpoint": ["engine/formats", "engine/quant"],
    "engine/convert": ["engine/formats", "engine/quant"],
    "engine/kernels": ["engine/formats", "engine/quant"],
    "engine/nn": ["engine/kernels", "engine/kv"],
    "engine/kv": ["engine/kernels"],
    "engine/models": ["engine/nn", "engine/kv"],
    "engine/run": ["engine/models"],
    "text": ["base"],
    "net": ["base"],
    "store": ["base"],
    "server": ["engine/run", "engine/checkpoint", "text", "net", "store"],
    "cli": ["server", "engine/convert"],
}
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"', re.MULTILINE)
SUFFIXES = {".h", ".hpp", ".cpp", ".cc", ".c", ".cu", ".inc"}


def layer_of(path):
    """The layer of a path relative to src, or None."""
    parts = path.split("/")
    for length in range(len(parts), 0, -1):
        name = "/".join(parts[:length])
        if name in BELOW:
            return name
    return None


def usable_from(layer):
    """The layer and all that lies below it."""
    seen, todo = set(), [layer]
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo.extend(BELOW[name])
    return seen


def problems(root):
    """One line for each include that breaks the rule, as FILE:LINE: what."""
    source = pathlib.Path(root) / "src"
    for file in sorted(source.rglob("*")):
        name = file.relative_to(source).as_posix()
        if file.suffix not in SUFFIXES or not file.is_file() or "target" in name.split("/"):
            continue
        layer = layer_of(name)
        if layer is None:
            yield f"src/{name}:1: in no layer; move it, or add its folder to scripts/check_layers.py"
            continue
        text = file.read_text(encoding="utf-8", errors="replace")
        for match in INCLUDE.finditer(text):
            included, line = match.group(1), text.count("\n", 0, match.start()) + 1
            if included.startswith(".") or "/../" in included:
                yield f"src/{name}:{line}: includes \"{included}\"; write the path from src instead"
                continue
            target = layer_of(included)
            if target is None:
                if not (file.parent / included).exists():
                    yield f"src/{name}:{line}: includes \"{included}\", which is in no layer; write the path from src"
            elif target not in usable_from(layer):
                yield f"src/{name}:{line}: {layer} includes \"{included}\" of {target}, which is not below it"


def main(arguments):
    root = arguments[1] if len(arguments) > 1 else "."
    if not (pathlib.Path(root) / "src").is_dir():
        print(f"check_layers.py: {root} has no src folder; give the repository's root", file=sys.stderr)
        return 2
    found = list(problems(root))
    for line in found:
        print(line, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
