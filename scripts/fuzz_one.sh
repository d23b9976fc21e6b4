#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs a fuzzer for FUZZ_SECONDS: fuzz_one.sh BINARY SEEDS WORKDIR. New inputs go to WORKDIR, never to the seeds;
# an input that crashes, hangs or eats memory stays in WORKDIR/findings and its name is printed.
set -euo pipefail

binary=$1 seeds=$2 work=$3
seconds=${FUZZ_SECONDS:-20}
mkdir -p "$work/corpus" "$work/findings"
folders=("$work/corpus")
if [ -d "$seeds" ]; then folders+=("$seeds"); fi
exec "$binary" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -malloc_limit_mb=1024 -print_final_stats=1 \
  -verbosity=1 -artifact_prefix="$work/findings/" "${folders[@]}"
