#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The checks that need no build: formatting, layers, text. Says everything that is wrong, then fails.
set -uo pipefail
cd "$(dirname "$0")/.."

failed=0
mapfile -t sources < <(find src tests fuzz bench -path '*/target/*' -prune -o \( -name '*.cpp' -o -name '*.h' \) -print)
clang-format --dry-run -Werror "${sources[@]}" || {
  failed=1
  echo "check.sh: the lines above are not formatted; run 'make format'" >&2
}
python3 scripts/check_layers.py . || failed=1
python3 scripts/check_text.py . || failed=1
exit $failed
