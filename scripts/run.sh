#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The main job: run.sh [MODEL] [serve flags...] fetches the model if it is the absent default, then serves it. Chats and
# files are kept in the user's data folder, unless settings say where.
set -euo pipefail
cd "$(dirname "$0")/.."

model=${1:-default}
shift || true
deepwell=build/release/bin/deepwell
if [ "$model" = default ] && ! "$deepwell" inspect default >/dev/null 2>&1; then "$deepwell" pull default; fi
if [ -z "${DEEPWELL_CONFIG:-}" ] && [[ " $* " != *" --config"* ]]; then
  export DEEPWELL_DATA_DIR=${DEEPWELL_DATA_DIR:-${XDG_DATA_HOME:-$HOME/.local/share}/deepwell}
fi
exec "$deepwell" serve "$model" "$@"
