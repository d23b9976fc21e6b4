#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The checks that need no build: formatting, layers, text. Says everything that is wrong, then fails.
set -uo pipefail
cd "$(dirname "$0")/.." || exit

failed=0
unformatted=$(find src tests fuzz bench -path '*/target/*' -prune -o \( -name '*.cpp' -o -name '*.h' \) -print0 |
  xargs -0 clang-format --dry-run -Werror 2>&1 | sed -n 's/:[0-9]*:[0-9]*: error:.*//p' | sort -u)
if [ -n "$unformatted" ]; then
  failed=1
  printf '%s\n' "$unformatted" | sed 's/$/: is not formatted/' >&2
  echo "check.sh: run 'make format'" >&2
fi
python3 scripts/check_layers.py . || failed=1
python3 scripts/check_isa.py . || failed=1
python3 scripts/check_text.py . || failed=1
exit $failed
