#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Python with the test packages where .venv is set up, else the system's: python.sh SCRIPT ARGS...
root=$(cd "$(dirname "$0")/.." && pwd)
if [ -x "$root/.venv/bin/python" ]; then exec "$root/.venv/bin/python" "$@"; fi
exec python3 "$@"
