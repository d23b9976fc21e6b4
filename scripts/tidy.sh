#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# clang-tidy over src: tidy.sh all, or tidy.sh changed (against the last commit of the main branch).
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/build.sh fuzz -t compdb >/dev/null 2>&1 || true # a tree configured for clang: its flags are clang-tidy's own
[ -f build/fuzz/compile_commands.json ] || { echo "tidy.sh: configuring build/fuzz failed; run 'make fuzz' to see why" >&2; exit 1; }
if [ "${1:-all}" = changed ]; then
  mapfile -t files < <({ git diff --name-only main -- 'src/*.cpp'; git ls-files -o --exclude-standard -- 'src/*.cpp'; } | sort -u)
else
  mapfile -t files < <(git ls-files -- 'src/*.cpp')
fi
existing=()
for file in "${files[@]}"; do if [ -f "$file" ]; then existing+=("$file"); fi; done
if [ ${#existing[@]} -eq 0 ]; then
  echo "tidy.sh: no source file to look at"
  exit 0
fi
printf '%s\n' "${existing[@]}" | xargs -P "$(nproc)" -n 1 clang-tidy --quiet -p build/fuzz
