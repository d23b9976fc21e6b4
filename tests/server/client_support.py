# SPDX-License-Identifier: Apache-2.0
"""The real server over a scripted engine (its program is argv[1]), for official clients."""
import subprocess
import sys


def check(condition, what):
    if not condition:
        raise SystemExit(f"failed: {what}")


def with_server(everything):
    """Calls everything(port) and judges that the server ends cleanly."""
    server = subprocess.Popen([sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True)
    try:
        everything(int(server.stdout.readline()))
    finally:
        server.stdin.close()
        server.wait(timeout=60)
    check(server.returncode == 0, "the server ends cleanly")
    print("ok")


def skip(missing):
    print(f"skipped: {missing}; scripts/setup.sh test makes .venv with it")
    sys.exit(77)
