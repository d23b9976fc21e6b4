#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How the server holds under load. Starts `deepwell serve` itself, one server a scenario, and speaks HTTP with it.

Usage: serving_load.py [--binary build/release/bin/deepwell] [--model default] [SCENARIO...]

Scenarios: streams, shares, storm, overload, prefix (all by default); each prints one line of JSON with what it
measured and whether it holds. Needs nothing but Python 3.9.
"""
import argparse
import asyncio
import json
import os
import random
import re
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time


class Server:
    """`deepwell serve` on a free port, stopped at the end."""

    def __init__(self, options, arguments, keys=None):
        self.keys = tempfile.NamedTemporaryFile("w", suffix=".keys")
        command = [options.binary, "serve", options.model, "--port", "0", *arguments]
        if keys:
            self.keys.write("\n".join(keys) + "\n")
            self.keys.flush()
            command += ["--api-key-file", self.keys.name]
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, text=True)
        line = self.process.stdout.readline()
        found = re.search(r"http://[^:]+:(\d+)", line)
        if not found:
            raise SystemExit(f"the server did not start: {line}")
        self.port = int(found.group(1))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def memory_mb(self):
        with open(f"/proc/{self.process.pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6


class Answer:
    """One streamed answer: when its parts came."""

    def __init__(self):
        self.status, self.retry_after, self.started, self.first, self.ended = 0, None, time.monotonic(), None, None
        self.tokens, self.gaps, self.estimate, self.places, self.done, self.usage = 0, [], None, [], False, None

    @property
    def ttft(self):
        return self.first - self.started


async def request(server, prompt, tokens, key=None, give_up_after=None, path="/v1/completions", wait_s=1800):
    """Streams one answer. give_up_after: tokens after which the client leaves without a word."""
    answer = Answer()
    body = json.dumps({"prompt": prompt, "max_tokens": tokens, "ignore_eos": True, "stream": True, "temperature": 0,
                       "stream_options": {"include_usage": True}}).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    if key:
        head += f"Authorization: Bearer {key}\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1 << 22)
    try:
        writer.write(head.encode() + b"Connection: close\r\n\r\n" + body)
        await writer.drain()
        answer.status = int((await asyncio.wait_for(reader.readline(), wait_s)).split()[1])
        while (line := (await reader.readline()).strip()):
            name, _, value = line.decode().partition(":")
            if name.lower() == "retry-after":
                answer.retry_after = int(value)
        if answer.status != 200:
            return answer
        last = None
        while line := await asyncio.wait_for(reader.readline(), wait_s):
            now = time.monotonic()
            if line.startswith(b": queue"):
                position, eta = re.search(rb"position=(\d+) eta=(\d+)s", line).groups()
                answer.places.append((now, int(position), int(eta)))
                if answer.estimate is None:
                    answer.estimate = now - answer.started + int(eta)
            elif line.startswith(b"data: [DONE]"):
                answer.done, answer.ended = True, now
            elif line.startswith(b"data: "):
                event = json.loads(line[6:])
                answer.usage = event.get("usage") or answer.usage
                if any(choice.get("text") is not None and choice.get("finish_reason") is None
                       for choice in event.get("choices", [])):
                    answer.tokens += 1
                    if answer.first is None:
                        answer.first = now
                    else:
                        answer.gaps.append(now - last)
                    last = now
                    if give_up_after is not None and answer.tokens >= give_up_after:
                        return answer
        return answer
    finally:
        writer.close()


async def get(server, path, key=None):
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    bearer = f"Authorization: Bearer {key}\r\n" if key else ""
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{bearer}Connection: close\r\n\r\n".encode())
    text = (await reader.read()).decode()
    writer.close()
    return text.partition("\r\n\r\n")[2]


async def metric(server, name, key=None):
    text = await get(server, "/metrics", key)
    found = [float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name + "{")]
    return sum(found)


async def settle(server, key=None):
    """Waits until nothing runs; what the KV cache then still has in use, as a share."""
    for _ in range(600):
        if not await metric(server, "vllm:num_requests_running", key) and not await metric(
                server, "vllm:num_requests_waiting", key):
            break
        await asyncio.sleep(0.1)
    return await metric(server, "vllm:kv_cache_usage_perc", key)


def share(values, part):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else None


def words(count, seed):
    source = random.Random(seed)
    return " ".join(source.choice("river stone light winter garden paper window music number story".split())
                    for _ in range(count))


def rounded(value):
    return round(value, 3) if isinstance(value, float) else value


async def streams(options):
    """Many streams open at once: all end, none is cut, memory stays flat."""
    count, tokens = options.streams, 64
    # Kept prefixes would fill the KV pool, as they should, and hide what leaks.
    with Server(options, ["--parallel", "32", "--queue", str(count), "--no-prefix-cache"]) as server:
        await asyncio.gather(*[request(server, words(20, i), tokens) for i in range(40)])
        before = server.memory_mb()
        begun = time.monotonic()
        peak = 0

        async def watch():
            nonlocal peak
            while True:
                peak = max(peak, server.memory_mb())
                await asyncio.sleep(1)
        watcher = asyncio.create_task(watch())
        answers = await asyncio.gather(*[request(server, words(20, 1000 + i), tokens) for i in range(count)])
        watcher.cancel()
        seconds = time.monotonic() - begun
        gaps = [gap for answer in answers for gap in answer.gaps]
        whole = sum(answer.done and answer.usage and answer.usage["completion_tokens"] == tokens for answer in answers)
        ratios = [answer.estimate / answer.ttft for answer in answers if answer.estimate and answer.ttft > 2]
        used = await settle(server)
        return {"streams": count, "whole": whole, "seconds": seconds, "tokens_per_second": count * tokens / seconds,
                "gap_p50_s": share(gaps, 0.5), "gap_p99_s": share(gaps, 0.99), "gap_max_s": max(gaps),
                "ttft_p50_s": share([a.ttft for a in answers], 0.5), "memory_before_mb": before,
                "memory_peak_mb": peak, "estimate_ratio_p50": share(ratios, 0.5), "cache_used_after": used,
                "holds": whole == count and used == 0 and peak < before * 1.5 + 200}


async def shares(options):
    """A user that wants everything beside one that asks now and then."""
    with Server(options, ["--parallel", "8"], keys=["heavy", "light", "ops role=admin"]) as server:
        idle = []
        for i in range(20):
            idle.append((await request(server, words(20, i), 8, key="light")).ttft)
        stop = asyncio.Event()

        async def saturate(number):
            i = 0
            while not stop.is_set():
                i += 1
                await request(server, words(60, 10_000 * number + i), 128, key="heavy")
        heavy = [asyncio.create_task(saturate(number)) for number in range(64)]
        await asyncio.sleep(10)
        busy, begun = [], time.monotonic()
        before = await metric(server, "vllm:generation_tokens_total", "ops")
        for i in range(40):
            busy.append((await request(server, words(20, 500 + i), 8, key="light")).ttft)
            await asyncio.sleep(0.2)
        tokens = await metric(server, "vllm:generation_tokens_total", "ops") - before
        seconds = time.monotonic() - begun
        stop.set()
        for task in heavy:
            task.cancel()
        return {"idle_ttft_p50_s": share(idle, 0.5), "idle_ttft_p95_s": share(idle, 0.95),
                "busy_ttft_p50_s": share(busy, 0.5), "busy_ttft_p95_s": share(busy, 0.95),
                "times_idle_p95": share(busy, 0.95) / share(idle, 0.95), "tokens_per_second": tokens / seconds,
                "holds": share(busy, 0.95) < 3 * share(idle, 0.95)}


async def storm(options):
    """Half of the clients leave, anywhere in the queue, the prompt or the answer."""
    count = 500
    with Server(options, ["--parallel", "16"]) as server:
        source = random.Random(1)

        async def client(number):
            prompt = words(source.randrange(10, 300), number)
            if number % 2:
                return (await request(server, prompt, 24)).done
            if source.random() < 0.5:
                await request(server, prompt, 24, give_up_after=source.randrange(1, 20))
            else:
                task = asyncio.create_task(request(server, prompt, 24))
                await asyncio.sleep(source.random() * 20)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            return None
        results = await asyncio.gather(*[client(number) for number in range(count)])
        used = await settle(server)
        stayed = [result for result in results if result is not None]
        return {"clients": count, "stayed": len(stayed), "whole": sum(stayed), "cache_used_after": used,
                "cancelled": await metric(server, "deepwell:requests_cancelled_total"),
                "holds": all(stayed) and used == 0}


async def overload(options):
    """Three times what the server can do, for a while: who is let in is served, who is sent away may come back."""
    with Server(options, ["--parallel", "8", "--queue", "32"]) as server:
        tokens, count = 48, 40
        begun = time.monotonic()
        await asyncio.gather(*[request(server, words(20, i), tokens) for i in range(count)])
        rate = count / (time.monotonic() - begun)
        admitted, returned_ok, returned, refused = [], 0, 0, 0

        async def client(number):
            nonlocal returned_ok, returned, refused
            prompt, came_back = words(20, 5000 + number), False
            while True:
                answer = await request(server, prompt, tokens)
                if came_back:
                    returned += 1
                    returned_ok += answer.status == 200
                if answer.status == 200:
                    admitted.append(answer)
                    return
                refused += 1
                came_back = True
                await asyncio.sleep(answer.retry_after)
        tasks = []
        begun = time.monotonic()
        while time.monotonic() - begun < options.overload_seconds:
            tasks.append(asyncio.create_task(client(len(tasks))))
            await asyncio.sleep(random.expovariate(3 * rate))
        await asyncio.gather(*tasks)
        whole = sum(answer.done for answer in admitted)
        ratios = [answer.estimate / answer.ttft for answer in admitted if answer.estimate and answer.ttft > 1]
        errors = [abs(ratio - 1) for ratio in ratios]
        return {"capacity_per_second": rate, "requests": len(tasks), "admitted": len(admitted), "whole": whole,
                "refused": refused, "returned": returned,
                "retry_after_kept": returned_ok / returned if returned else None,
                "estimates": len(ratios), "estimate_ratio_p50": share(ratios, 0.5),
                "estimate_error_p50": share(errors, 0.5), "estimate_error_p90": share(errors, 0.9),
                "holds": whole == len(admitted) == len(tasks) and (not errors or share(errors, 0.5) <= 0.3)
                and (not returned or returned_ok / returned >= 0.95)}


async def prefix(options):
    """A long beginning that many requests share, before and after the server was killed."""
    system = words(1900, 1)
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["--context", "4096", "--prefix-dir", folder]
        with Server(options, arguments) as server:
            cold = [(await request(server, words(1900, 100 + i) + " end", 4)).ttft for i in range(3)]
            first = await request(server, system + " Question zero?", 4)
            warm = [await request(server, f"{system} Question {words(5, i)}?", 4) for i in range(50)]
            cached = min(answer.usage["prompt_tokens_details"]["cached_tokens"] for answer in warm)
            await asyncio.sleep(2)
            server.kill()
        with Server(options, arguments) as server:
            again = await request(server, f"{system} Question after?", 4)
            restart_cold = await request(server, words(1900, 200) + " end", 4)
    usual = statistics.median(cold + [first.ttft])
    warm_p50 = statistics.median(answer.ttft for answer in warm)
    return {"prompt_tokens": first.usage["prompt_tokens"], "cached_tokens": cached, "cold_ttft_s": usual,
            "warm_ttft_p50_s": warm_p50, "times_faster": usual / warm_p50,
            "after_kill_ttft_s": again.ttft, "after_kill_cold_ttft_s": restart_cold.ttft,
            "after_kill_cached_tokens": again.usage["prompt_tokens_details"]["cached_tokens"],
            "after_kill_times_faster": restart_cold.ttft / again.ttft,
            "holds": usual / warm_p50 >= 10 and restart_cold.ttft / again.ttft >= 10}


SCENARIOS = {"streams": streams, "shares": shares, "storm": storm, "overload": overload, "prefix": prefix}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help="default: all")
    parser.add_argument("--binary", default="build/release/bin/deepwell")
    parser.add_argument("--model", default="default")
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--overload-seconds", type=float, default=120)
    options = parser.parse_args()
    for name in options.scenarios:
        if name not in SCENARIOS:
            parser.error(f"there is no scenario '{name}'; there are {', '.join(SCENARIOS)}")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    held = True
    for name in options.scenarios or SCENARIOS:
        result = asyncio.run(SCENARIOS[name](options))
        held = held and result["holds"]
        load = os.getloadavg()[0]
        print(json.dumps({"scenario": name, **{key: rounded(value) for key, value in result.items()},
                          "load_average": round(load, 1)}), flush=True)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
