#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs openai_client.py against the server program given; says why when it cannot (exit 77: skipped).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
python=$here/../../.venv/bin/python
if [ ! -x "$python" ]; then
  echo "skipped: there is no .venv; scripts/setup.sh makes it"
  exit 77
fi
if ! "$python" -c 'import openai' 2>/dev/null; then
  echo "skipped: .venv has no package 'openai'; scripts/setup.sh installs it"
  exit 77
fi
exec "$python" "$here/openai_client.py" "$1"
