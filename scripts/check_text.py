#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What no file of the repository may hold: paths of one machine, package registries' host names, unfinished-work
markers in src, a source file without its licence line, a file over 1 MB, a Markdown link to a file that is not there.

Usage: check_text.py [ROOT]   (a git checkout, or a plain folder; default: the current folder)
"""
import pathlib
import re
import subprocess
import sys

BYTES_MAX = 1_000_000
LICENCE = "SPDX-License-Identifier: Apache-2.0"
# Languages whose files start with the licence line (CMakeLists.txt and data do not).
SOURCES = {".h", ".cpp", ".c", ".cu", ".rs", ".py", ".sh", ".cmake", ".js", ".ts", ".svelte"}
SKIPPED_FOLDERS = {".git", ".venv", ".cache", "build", "target", "node_modules", "__pycache__"}

# Written in pieces so that this file passes its own check.
MACHINE_PATH = re.compile(r"(?<![\w.~/$}-])/(?:" + "home|Users|work|root|opt/v" + r")/[\w.]")
REGISTRIES = re.compile(r"\b(?:" + "|".join(
    re.escape(a + "." + b) for a, b in [("pypi", "org"), ("files.pythonhosted", "org"), ("crates", "io"),
                                        ("registry.npmjs", "org"), ("deb.debian", "org")]) + r")\b")
UNFINISHED = re.compile(r"\b(?:" + "TO" + "DO|FIX" + "ME)\\b")
# Cargo names its registry in every lock file; the name there is an id, nothing is fetched from the repository's text.
CARGO_ID = "registry+https://github.com/rust-lang/" + "crates" + ".io-index"
LINK = re.compile(r"\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")


def files(root):
    """Paths, relative to root, of what is or could be committed."""
    listed = subprocess.run(["git", "-C", str(root), "ls-files", "-co", "--exclude-standard", "-z"],
                            capture_output=True, check=False)
    if listed.returncode == 0 and (root / ".git").exists():
        return sorted({name for name in listed.stdout.decode().split("\0") if name and (root / name).is_file()})
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*")
                  if path.is_file() and not SKIPPED_FOLDERS.intersection(path.relative_to(root).parts))


def broken_links(root, name, text):
    for match in LINK.finditer(text):
        target = match.group(1).split("#")[0]
        if not target or re.match(r"[a-z]+:", target):
            continue
        if not (root / pathlib.PurePosixPath(name).parent / target).exists():
            yield text.count("\n", 0, match.start()) + 1, f"links to {target}, which is not there"


def problems_in_text(root, name, text):
    """(line, what) for each finding in one text file."""
    source = name.startswith("src/")
    for number, line in enumerate(text.splitlines(), 1):
        if MACHINE_PATH.search(line):
            yield number, "names a path of one machine; make it relative or configurable"
        if REGISTRIES.search(line.replace(CARGO_ID, "")):
            yield number, "names a package registry's host; leave that to the package manager's configuration"
        if source and UNFINISHED.search(line):
            yield number, "says that something is unfinished; finish it, or open an issue"
    if pathlib.PurePosixPath(name).suffix in SOURCES and not any(LICENCE in line for line in text.splitlines()[:3]):
        yield 1, f"lacks the line '{LICENCE}' at its top"
    if name.endswith(".md"):
        yield from broken_links(root, name, text)


def problems(root):
    """One line for each finding, as FILE:LINE: what."""
    root = pathlib.Path(root)
    for name in files(root):
        content = (root / name).read_bytes()
        if len(content) > BYTES_MAX:
            yield f"{name}:1: is {len(content)} bytes; the most in git is {BYTES_MAX}: generate or fetch it instead"
        if b"\0" in content[:8192] or "fuzz" == name.split("/")[0] and ".corpus/" in name:
            continue  # data, where any bytes are right
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError:
            continue
        for line, what in problems_in_text(root, name, text):
            yield f"{name}:{line}: {what}"


def main(arguments):
    root = arguments[1] if len(arguments) > 1 else "."
    found = list(problems(root))
    for line in found:
        print(line, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
