#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`deepwell serve` beside llama.cpp's and ik_llama.cpp's servers: the same requests, in turn, on one machine.

Usage: bench/serving_vs_peers.py --model FILE --deepwell BIN [--llama-server PATH] [--ik-server PATH]
                                 [--clients 16] [--requests 32] [--tokens 48] [--turns 3] [--threads N] [--json OUT]

Clients send one request after another, prompts of 10 to 120 words, until --requests of each turn are answered; every
answer has --tokens tokens. Prints tokens/s of all clients together and the time to the first token (median, p99), the
median of the turns, and Deepwell's ratio to each peer. No two prompts share a beginning, so prefix caches do not help.
Needs nothing but Python 3.9.
"""
import argparse
import asyncio
import json
import os
import pathlib
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

from serving_load import request, share, words

CONTEXT = 512  # tokens that one client needs at most


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Running:
    """A server of any make on a free port; stopped at the end."""

    def __init__(self, command, port):
        self.port = port
        self.folder = tempfile.TemporaryDirectory()  # some write logs where they run
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        cwd=self.folder.name)
        self.program = command[0]

    def wait_until_healthy(self):
        deadline = time.monotonic() + 600
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=5) as answer:
                    if answer.status == 200:
                        return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        raise SystemExit(f"{self.program} did not come up (exit code {self.process.poll()})")

    def __enter__(self):
        self.wait_until_healthy()
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.folder.cleanup()


def servers(options):
    """name -> the words that start it, without the port."""
    room = str(CONTEXT * options.clients)
    found = {"deepwell": [options.deepwell, "serve", options.model, "--threads", str(options.threads),
                          "--parallel", str(options.clients)]}
    for name, program in (("llama.cpp", options.llama_server), ("ik_llama.cpp", options.ik_server)):
        if program:
            found[name] = [program, "-m", options.model, "-t", str(options.threads), "-tb", str(options.threads),
                           "-np", str(options.clients), "-c", room, "-cb", "--host", "127.0.0.1"]
    return found


async def load(server, options, seed):
    source = random.Random(seed)
    prompts = [words(source.randint(10, 120), seed * 1000 + i) for i in range(options.requests)]
    answers = []

    async def client():
        while prompts:
            answers.append(await request(server, prompts.pop(), options.tokens))

    begun = time.monotonic()
    await asyncio.gather(*[client() for _ in range(options.clients)])
    seconds = time.monotonic() - begun
    bad = [answer.status for answer in answers if answer.status != 200 or answer.first is None]
    if bad:
        raise SystemExit(f"{len(bad)} of {len(answers)} requests were not answered (status {bad[0]})")
    ttft = [answer.ttft for answer in answers]
    # A token that ends in the middle of a character is no event of its own; each answer was made whole.
    return {"tokens_per_second": len(answers) * options.tokens / seconds, "ttft_p50": share(ttft, 0.5),
            "ttft_p99": share(ttft, 0.99)}


def turn(name, command, options, seed):
    port = free_port()
    with Running([*command, "--port", str(port)], port) as server:
        asyncio.run(request(server, "Once upon a time", 8))  # what the first request of all pays
        measured = asyncio.run(load(server, options, seed))
    print(f"{name:<13} {measured['tokens_per_second']:7.1f} tokens/s   first token p50 {measured['ttft_p50']:.2f} s, "
          f"p99 {measured['ttft_p99']:.2f} s", file=sys.stderr, flush=True)
    return measured


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, type=os.path.abspath)
    parser.add_argument("--deepwell", required=True, type=os.path.abspath)
    parser.add_argument("--llama-server", type=os.path.abspath)
    parser.add_argument("--ik-server", type=os.path.abspath)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--requests", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--threads", type=int, default=max(1, (os.cpu_count() or 2) // 2))
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    if not (options.llama_server or options.ik_server):
        parser.error("no peer given; say where --llama-server or --ik-server is")
    measured = {name: [] for name in servers(options)}
    for seed in range(options.turns):
        for name, command in servers(options).items():
            measured[name].append(turn(name, command, options, seed + 1))
    medians = {name: {key: statistics.median(one[key] for one in turns) for key in turns[0]}
               for name, turns in measured.items()}
    ours = medians["deepwell"]
    print("| server | tokens/s | first token p50 | p99 | Deepwell: tokens/s | p99 |\n|---|---|---|---|---|---|")
    for name, theirs in medians.items():
        print(f"| {name} | {theirs['tokens_per_second']:.0f} | {theirs['ttft_p50']:.2f} s | {theirs['ttft_p99']:.2f} s | "
              f"{ours['tokens_per_second'] / theirs['tokens_per_second']:.2f}x | "
              f"{ours['ttft_p99'] / theirs['ttft_p99']:.2f}x |")
    if options.json:
        options.json.write_text(json.dumps({"turns": measured, "medians": medians}, indent=1) + "\n")


if __name__ == "__main__":
    main()
