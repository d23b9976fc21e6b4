#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What `make test` runs, cheapest first. All builds come before the one ctest at the end, which runs the tests of
# the release build, of the build with AddressSanitizer and UBSan (asan/...) and every fuzzer (fuzz/...), so the
# last lines say how all of them went. FUZZ_SECONDS is each fuzzer's time.
set -euo pipefail
cd "$(dirname "$0")/.."

export FUZZ_SECONDS=${FUZZ_SECONDS:-$([ "${CI:-}" = true ] && echo 60 || echo 20)}
export UBSAN_OPTIONS=print_stacktrace=1
jobs=$(nproc)

stage() { # stage NAME COMMAND...
  local name=$1 start=$SECONDS
  shift
  echo "== $name"
  "$@" || {
    local code=$?
    echo "== $name failed after $((SECONDS - start)) s" >&2
    exit $code
  }
  echo "== $name took $((SECONDS - start)) s"
}

stage "setup" scripts/setup.sh test
stage "static checks" scripts/check.sh
stage "release build" scripts/build.sh release
stage "fuzzer build (clang, ASan, UBSan)" scripts/build.sh fuzz fuzzers
stage "dev build (ASan, UBSan)" scripts/build.sh dev

# One list over the three trees. The release tree comes first: it holds the most tests and the fastest.
list='subdirs("release")
subdirs("dev")
subdirs("fuzz")'
[ "$(cat build/CTestTestfile.cmake 2>/dev/null)" = "$list" ] || printf '%s\n' "$list" >build/CTestTestfile.cmake
echo "== tests (each fuzzer runs $FUZZ_SECONDS s)"
exec ctest --test-dir build --parallel "$jobs" --output-on-failure --progress
