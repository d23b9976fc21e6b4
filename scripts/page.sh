#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the chat page (src/server/web): page.sh [--test | OUT.cpp]. It is built in build/page, once for all build
# trees, and only when its sources are not those it was built from; OUT.cpp then takes it into a binary. --test checks
# its types and runs its tests.
set -euo pipefail
cd "$(dirname "$0")/.."

out=${1:-}
case "$out" in "" | --test | /*) ;; *) out=$PWD/$out ;; esac
work=build/page
log=$work/log
mkdir -p "$work"
exec 9>"$work/lock"
flock 9

# What `npm run dev` and friends leave there is no source.
sources() { find src/server/web \( -name node_modules -o -name dist \) -prune -o -type f -print | LC_ALL=C sort; }
wanted=$(sources | tr '\n' '\0' | xargs -0 sha256sum; node --version 2>/dev/null || true)

fail() {
  tail -n 15 "$log" >&2
  echo "page.sh: $1; the whole log is $log" >&2
  exit 1
}

build() {
  for tool in node npm; do
    command -v "$tool" >/dev/null 2>&1 || {
      echo "page.sh: the chat page needs $tool (Node 18 or later) to be built; scripts/setup.sh build installs it" >&2
      exit 1
    }
  done
  : >"$log"
  # Sources that are gone must go here, too; the fetched packages stay.
  find "$work" -mindepth 1 -maxdepth 1 ! -name node_modules ! -name lock ! -name log ! -name packages.stamp -exec rm -rf {} +
  (cd src/server/web && tar -c --exclude=./node_modules --exclude=./dist .) | tar -x -C "$work"
  cd "$work"
  if ! cmp -s package-lock.json packages.stamp; then
    rm -f packages.stamp
    npm ci --no-audit --no-fund --ignore-scripts --loglevel=error >>log 2>&1 || { cd ../..; fail "npm ci failed"; }
    cp package-lock.json packages.stamp
  fi
  node node_modules/vite/bin/vite.js build --logLevel warn >>log 2>&1 || { cd ../..; fail "building the page failed"; }
  node embed.mjs dist page.blob page.cpp >>log 2>&1 || { cd ../..; fail "packing the page failed"; }
  cd ../..
  printf '%s\n' "$wanted" >"$work/stamp"
}

[ "$(cat "$work/stamp" 2>/dev/null)" = "$wanted" ] || build
if [ "$out" = --test ]; then
  cd "$work"
  node node_modules/svelte-check/bin/svelte-check --fail-on-warnings --output human
  exec node node_modules/vitest/vitest.mjs run
fi
if [ -n "$out" ]; then
  mkdir -p "$(dirname "$out")"
  cp "$work/page.cpp" "$out"
fi
