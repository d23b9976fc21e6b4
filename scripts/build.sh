#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds a preset: build.sh PRESET [NINJA TARGET...]. Configures only a tree that is new; ninja sees to the rest.
set -euo pipefail
cd "$(dirname "$0")/.."

preset=$1
shift
tree=build/$preset
mkdir -p "$tree"
if [ ! -f "$tree/build.ninja" ]; then
  cmake --preset "$preset" >"$tree/configure.log" 2>&1 || {
    tail -n 25 "$tree/configure.log" >&2
    echo "build.sh: configuring $preset failed; the whole log is $tree/configure.log" >&2
    exit 1
  }
fi
# A terminal sees ninja's one moving line; a log gets only what went wrong.
quiet=(--quiet)
if [ -t 1 ]; then quiet=(); fi
exec ninja "${quiet[@]}" -C "$tree" "$@"
