#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what building (setup.sh build) or building and testing (setup.sh test) needs and is missing. setup.sh
# agents adds Codex and Claude Code (npm, 640 MB), whose test is skipped without them.
# Safe to run again at any time: it looks first, and with nothing missing it ends within a second.
set -euo pipefail
cd "$(dirname "$0")/.."

purpose=${1:-build}
case "$purpose" in
  build | test | agents) ;;
  *)
    echo "setup.sh: unknown purpose '$purpose'; use 'build', 'test' or 'agents'" >&2
    exit 2
    ;;
esac

log=build/setup.log
mkdir -p build

# The packages of a section of packages.txt.
section() { awk -v want="[$1]" '/^\[/ { on = ($0 == want); next } on && NF && !/^#/' scripts/packages.txt; }

# The packages this purpose needs, one a line. Rust and Node come from PATH where there are any (rustup's, nvm's).
wanted_packages() {
  section build
  if [ "$purpose" = test ]; then section test; fi
  if ! command -v cargo >/dev/null 2>&1; then printf '%s\n' rustc-web cargo-web; fi
  if ! command -v node >/dev/null 2>&1 || ! command -v npm >/dev/null 2>&1; then printf '%s\n' nodejs npm; fi
}

missing_packages() {
  local wanted
  wanted=$(wanted_packages | sort -u)
  # shellcheck disable=SC2086  # one word a package
  comm -23 <(printf '%s\n' "$wanted") \
    <(dpkg-query -W -f='${Package} ${db:Status-Status}\n' $wanted 2>/dev/null | awk '$2 == "installed" { print $1 }' | sort -u)
}

# Runs a command quietly, up to four times: mirrors fail for a minute now and then.
retry() {
  local attempt
  for attempt in 1 2 3 4; do
    if "$@" >>"$log" 2>&1; then return 0; fi
    if [ "$attempt" -lt 4 ]; then
      echo "   that failed (attempt $attempt of 4); trying again in $((attempt * 5)) s"
      sleep $((attempt * 5))
    fi
  done
  return 1
}

install_packages() {
  local missing as_root=()
  missing=$(missing_packages)
  [ -n "$missing" ] || return 0
  if ! command -v apt-get >/dev/null 2>&1; then
    echo "setup.sh: this machine has no apt-get; install what these Debian packages hold, then try again:" >&2
    echo "  $(echo "$missing" | tr '\n' ' ')" >&2
    exit 1
  fi
  if [ "$(id -u)" -ne 0 ]; then
    if command -v sudo >/dev/null 2>&1 && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
      as_root=(sudo)
    else
      echo "setup.sh: packages are missing and installing them needs root; run this, then try again:" >&2
      echo "  apt-get update && apt-get install -y --no-install-recommends $(echo "$missing" | tr '\n' ' ')" >&2
      exit 1
    fi
  fi
  echo "== installing $(echo "$missing" | wc -l) packages: $(echo "$missing" | tr '\n' ' ')"
  local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o Acquire::Retries=3
    -o DPkg::Lock::Timeout=600 -y -q)
  # The known lists may do; they are fetched when they do not.
  # shellcheck disable=SC2086
  if ! "${apt[@]}" install --no-install-recommends $missing >>"$log" 2>&1; then
    retry "${apt[@]}" update || { tail -n 5 "$log" >&2; echo "setup.sh: apt-get update failed; see $log" >&2; exit 1; }
    # shellcheck disable=SC2086
    retry "${apt[@]}" install --no-install-recommends $missing ||
      { tail -n 15 "$log" >&2; echo "setup.sh: apt-get install failed; see $log" >&2; exit 1; }
  fi
  missing=$(missing_packages)
  if [ -n "$missing" ]; then
    echo "setup.sh: still missing after the install: $(echo "$missing" | tr '\n' ' '); see $log" >&2
    exit 1
  fi
}

# .venv with the pinned packages; the stamp is the list it was made from, so a changed list updates it.
python_packages() {
  local stamp=.venv/requirements-test.txt
  if cmp -s scripts/requirements-test.txt "$stamp" && .venv/bin/python -c '' 2>/dev/null; then return 0; fi
  echo "== setting up .venv for the tests"
  if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    python3 -m venv --clear .venv >>"$log" 2>&1 ||
      { echo "setup.sh: python3 -m venv failed; see $log" >&2; exit 1; }
  fi
  retry .venv/bin/python -m pip install --quiet --no-input --disable-pip-version-check \
    -r scripts/requirements-test.txt ||
    { tail -n 5 "$log" >&2; echo "setup.sh: pip install failed; see $log" >&2; exit 1; }
  cp scripts/requirements-test.txt "$stamp"
}

# Pinned, as .venv is.
agents() {
  command -v npm >/dev/null 2>&1 || { echo "setup.sh: npm is missing; apt-get install npm brings it" >&2; exit 1; }
  retry npm install --silent --no-audit --no-fund --prefix .agents @openai/codex@0.169.0 \
    @anthropic-ai/claude-code@2.1.197 ||
    { tail -n 5 "$log" >&2; echo "setup.sh: npm install failed; see $log" >&2; exit 1; }
}

if [ "$purpose" = agents ]; then
  agents
  exit 0
fi
install_packages
if [ "$purpose" = test ]; then python_packages; fi
