# SPDX-License-Identifier: Apache-2.0
"""Goal: whatever befalls the machine or its clients, the server (its program is argv[1]) neither dies nor hangs nor
says anything wrong. Method: the whole program over a tiny checkpoint (argv[2], random weights), and each fault for real:
kill -9, a full disk, broken cache files, SIGTERM under load, clients that vanish, stall or send rubbish."""
import json
import os
import pathlib
import random
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

PROGRAM, MODEL = sys.argv[1], sys.argv[2]


def check(condition, what):
    if not condition:
        raise SystemExit(f"failed: {what}")


def wait_until(condition, what):
    """What the condition gives when it holds; it has a minute, for machines with much else to do."""
    end = time.monotonic() + 60
    while not (found := condition()):
        check(time.monotonic() < end, what)
        time.sleep(0.05)
    return found


def write_tokenizer(folder):
    """One token a byte for the small alphabet that the model's 64 rows can hold; the last ends an answer."""
    printable = [c for c in range(256) if 33 <= c <= 126 or 161 <= c <= 172 or 174 <= c <= 255]
    letters, more = {}, 0
    for byte in range(256):
        letters[byte] = chr(byte) if byte in printable else chr(256 + more)
        more += byte not in printable
    alphabet = b"abcdefghijklmnopqrstuvwxyz0123456789 .,?!-_:;'()/+*=<>[]{}%#&@~"
    vocabulary = {letters[byte]: row for row, byte in enumerate(alphabet)}
    (folder / "tokenizer.json").write_text(json.dumps({
        "version": "1.0", "truncation": None, "padding": None, "normalizer": None, "post_processor": None,
        "added_tokens": [{"id": 63, "content": "<|end|>", "single_word": False, "lstrip": False, "rstrip": False,
                          "normalized": False, "special": True}],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "vocab": vocabulary,
                  "merges": []}}))


class Server:
    def __init__(self, folder, *flags, before=None, model="model"):
        self.log = open(folder / "server.log", "ab")
        self.process = subprocess.Popen([PROGRAM, "serve", str(folder / model), "--port", "0", *flags],
                                        stdout=subprocess.PIPE, stderr=self.log, stdin=subprocess.DEVNULL, text=True,
                                        preexec_fn=before, env={k: v for k, v in os.environ.items()
                                                                if not k.startswith("DEEPWELL_")})
        first = self.process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)", first)
        check(found, f"the server starts: {first!r}; {(folder / 'server.log').read_text()[-500:]}")
        self.port = int(found[1])

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.log.close()

    def call(self, path, body=None, headers=None, timeout=60):
        """(status, body)"""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data,
                                         {"Content-Type": "application/json", **(headers or {})})
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def complete(self, prompt, tokens=16):
        status, body = self.call("/v1/completions", {"prompt": prompt, "max_tokens": tokens, "temperature": 0,
                                                     "ignore_eos": True})
        check(status == 200, f"a completion: {status} {body}")
        return json.loads(body)

    def until_nothing_runs(self, after):
        def idle():
            health = json.loads(self.call("/health")[1])
            return (health["running"], health["waiting"]) == (0, 0)

        wait_until(idle, f"all that was asked is let go after {after}")

    def alive(self, after):
        check(self.process.poll() is None, f"the server lives on after {after}")
        status, body = self.call("/health", timeout=60)
        check(status == 200, f"/health after {after}: {status} {body}")
        self.complete("still there?", 4)

    def upload(self, name, content):
        mark = "----fault"
        form = (f"--{mark}\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--{mark}\r\n"
                f"Content-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n{content}\r\n"
                f"--{mark}--\r\n").encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/v1/files", form,
                                         {"Content-Type": f"multipart/form-data; boundary={mark}"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())


def beyond_this_machine(folder):
    """Without keys nobody else is let in, unless that is said: no test may listen there, so a taken port tells."""
    with Server(folder) as server:
        for flags, said in ((("--host", "0.0.0.0"), "--insecure"),
                            (("--admin-port", "0", "--admin-host", "0.0.0.0"), "--insecure"),
                            (("--host", "0.0.0.0", "--port", str(server.port), "--insecure"), "in use")):
            done = subprocess.run([PROGRAM, "serve", str(folder / "model"), *flags], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
            check(done.returncode == 1 and said in done.stdout, f"serve {flags}: {done.returncode} {done.stdout}")
            check(len(done.stdout.splitlines()) == 1, f"one line says so: {done.stdout}")


def one_folder_one_server(folder):
    flags = ("--data-dir", str(folder / "own"))
    with Server(folder, *flags) as server:
        done = subprocess.run([PROGRAM, "serve", str(folder / "model"), "--port", "0", *flags], text=True, timeout=60,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        check(done.returncode == 1 and "another server" in done.stdout, f"a second server: {done.stdout}")
        server.alive("a second server in its folder")
        server.process.kill()
        server.process.wait()
    with Server(folder, *flags) as server:
        server.alive("kill -9 of the one before")


def experts_on_disk(folder):
    """A mixture of experts that are read when they are needed answers as one that is all in memory."""
    shutil.copytree(pathlib.Path(MODEL).parent / "deepseek_moe", folder / "mixture")
    write_tokenizer(folder / "mixture")
    model = str(folder / "mixture.gguf")
    subprocess.run([PROGRAM, "convert", "--quiet", str(folder / "mixture"), model], check=True, timeout=60,
                   stdout=subprocess.DEVNULL)
    answers = []
    for size, said in (("0", False), ("2M", True)):
        before = (folder / "server.log").stat().st_size
        with Server(folder, "--expert-cache", size, model="mixture.gguf") as server:
            answers.append(server.complete("hello", 12)["choices"][0]["text"])
            log = (folder / "server.log").read_bytes()[before:].decode()
            check(("read from disk" in log) == said, f"serve --expert-cache {size} says where experts are: {log}")
        done = subprocess.run([PROGRAM, "run", model, "--raw", "hello", "-n", "12", "--temp", "0", "--ignore-end", "--json",
                               "--expert-cache", size], text=True, capture_output=True, timeout=60,
                              stdin=subprocess.DEVNULL)
        check(("read from disk" in done.stderr) == said, f"run --expert-cache {size}: {done.stderr}")
        answers.append(json.loads(done.stdout)["text"])
    check(len(set(answers)) == 1, f"all answers are one: {answers}")


def rotated_log(folder):
    path, old = folder / "rotated.log", folder / "rotated.log.1"
    with Server(folder, "--audit-log", str(path)) as server:
        server.complete("one", 4)
        wait_until(lambda: path.read_text().count("\n") == 1, "the first line is written")
        path.rename(old)
        server.process.send_signal(signal.SIGHUP)
        wait_until(path.exists, "a new file after the rotation")
        server.complete("two", 4)
        server.process.terminate()
        check(server.process.wait(60) == 0, "the server ends cleanly")
    for log in (old, path):
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        check([line["generated_tokens"] for line in lines] == [4], f"{log.name} has its line: {lines}")


def pages_in(cache):
    return list(cache.rglob("*.page"))


LONG = "the quick brown fox jumps over the lazy dog, and then it does so again. " * 5  # 360 tokens


def kill_and_restart(folder):
    flags = ("--prefix-dir", str(folder / "prefixes"), "--data-dir", str(folder / "data"), "--audit-log",
             str(folder / "audit.log"))
    with Server(folder, *flags) as server:
        cold = server.complete(LONG)
        check(cold["usage"]["prompt_tokens_details"]["cached_tokens"] == 0, "nothing is cached at first")
        server.complete(LONG)  # what is wanted twice goes to the disk
        lines = "\n".join(json.dumps({"custom_id": str(i), "method": "POST", "url": "/v1/completions",
                                      "body": {"prompt": f"line {i}", "max_tokens": 200, "ignore_eos": True}})
                          for i in range(300))
        status, file = server.upload("work.jsonl", lines)
        check(status == 200, f"upload: {status} {file}")
        status, body = server.call("/v1/batches", {"input_file_id": file["id"], "endpoint": "/v1/completions",
                                                   "completion_window": "24h"})
        check(status == 200, f"batch: {status} {body}")
        batch = json.loads(body)["id"]
        wait_until(lambda: json.loads(server.call(f"/v1/batches/{batch}")[1])["request_counts"]["completed"] > 3,
                   "the batch is under way")
        wait_until(lambda: pages_in(folder / "prefixes"), "prefixes reach the disk")
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
    with Server(folder, *flags) as server:
        warm = server.complete(LONG)
        check(warm["choices"][0]["text"] == cold["choices"][0]["text"], "the same answer after kill -9")
        check(warm["usage"]["prompt_tokens_details"]["cached_tokens"] > 0, f"its prefix survived: {warm['usage']}")
        for _ in range(1200):
            state = json.loads(server.call(f"/v1/batches/{batch}")[1])
            if state["status"] == "completed":
                break
            time.sleep(0.1)
        check(state["status"] == "completed", f"the batch goes on: {state}")
        output = server.call(f"/v1/files/{state['output_file_id']}/content")[1].splitlines()
        check(sorted(int(json.loads(line)["custom_id"]) for line in output) == list(range(300)),
              "every line is answered once")
    audited = (folder / "audit.log").read_text().splitlines()
    check(len(audited) > 100 and all(json.loads(line)["time"] for line in audited), "the audit log is whole")


def broken_cache(folder):
    cache = folder / "broken"
    with Server(folder, "--prefix-dir", str(cache)) as server:
        cold = server.complete(LONG)["choices"][0]["text"]
        server.complete(LONG)  # what is wanted twice goes to the disk
        wait_until(lambda: pages_in(cache), "prefixes reach the disk")
    files = [file for file in cache.rglob("*") if file.is_file()]
    check(files, "prefixes are on the disk")
    source = random.Random(7)
    kinds = {"flipped bits": lambda b: bytes(c ^ (source.random() < 0.001) for c in b), "cut off": lambda b: b[:len(b) // 2],
             "empty": lambda b: b"", "rubbish": lambda b: source.randbytes(len(b)), "longer": lambda b: b + b"x" * 999}
    whole = {file: file.read_bytes() for file in files}
    for kind, spoil in kinds.items():
        for file, content in whole.items():
            file.write_bytes(spoil(content))
        with Server(folder, "--prefix-dir", str(cache)) as server:
            check(server.complete(LONG)["choices"][0]["text"] == cold, f"the same answer with {kind} cache files")
            server.alive(f"{kind} cache files")


def full_disk(folder):
    # No file grows beyond 400 kB: what a full disk does, without filling one.
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))

    (folder / "full-audit.log").write_text("x" * 399_990 + "\n")
    with Server(folder, "--prefix-dir", str(folder / "full"), "--data-dir", str(folder / "full-data"), "--audit-log",
                str(folder / "full-audit.log"), before=limit) as server:
        first = server.complete(LONG)["choices"][0]["text"]
        for i in range(50):
            server.complete(f"{i} " + LONG[:200], 2)
        check(server.complete(LONG)["choices"][0]["text"] == first, "answers stay the same")
        status, refused = server.upload("big.jsonl", "x" * 600_000)
        check(status >= 400 and refused["error"]["message"], f"a file that does not fit is refused: {status} {refused}")
        for _ in range(100):
            metrics = server.call("/metrics")[1]
            waiting = re.search(r"^deepwell:audit_lines_waiting (\d+)", metrics, re.MULTILINE)
            if waiting and int(waiting[1]) > 0:
                break
            server.complete("more", 1)
        check(waiting and int(waiting[1]) > 0, "the metrics tell that audit lines wait")
        server.alive("a full disk")
    told = (folder / "server.log").read_text().count("cannot be written")
    check(told == 1, f"the log tells once that the audit log is stuck: {told}")


def stop_under_load(folder):
    with Server(folder, "--drain-seconds", "3", "--parallel", "64") as server:
        ends, lock = [], threading.Lock()

        def stream(index):
            body = json.dumps({"prompt": f"{index} " + LONG[:60], "max_tokens": 420, "stream": True,
                               "ignore_eos": True}).encode()
            request = urllib.request.Request(f"http://127.0.0.1:{server.port}/v1/completions", body,
                                             {"Content-Type": "application/json"})
            end = "nothing"
            try:
                with urllib.request.urlopen(request, timeout=120) as answer:
                    end = answer.read().decode()
            except urllib.error.HTTPError as error:
                end = "refused " + error.read().decode()
            except OSError as error:
                end = f"cut: {error}"
            with lock:
                ends.append(end)

        threads = [threading.Thread(target=stream, args=(i,)) for i in range(200)]
        for thread in threads:
            thread.start()
        wait_until(lambda: json.loads(server.call("/health")[1])["running"] > 0, "some are under way")
        begin = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(timeout=60)
        took = time.monotonic() - begin
        for thread in threads:
            thread.join()
        check(server.process.returncode == 0, f"exit code {server.process.returncode}")
        check(took < 3 + 30, f"it ended {took:.1f} s after SIGTERM, with 3 s of grace")
        started = [end for end in ends if not end.startswith(("refused", "cut"))]
        bad = [end[-200:] for end in started if not end.endswith("data: [DONE]\n\n") and '"error"' not in end[-500:]]
        check(not bad, f"{len(bad)} of {len(started)} streams end without saying how: {bad[:2]}")
        check(started, "some were under way")


def send_raw(port, data, patience=60):
    """What comes back until the server closes; None when it never does."""
    with socket.create_connection(("127.0.0.1", port), timeout=patience) as client:
        back = b""
        try:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            while piece := client.recv(65536):
                back += piece
        except TimeoutError:
            return None
        except OSError:
            pass
        return back


def hostile_bodies(folder):
    with Server(folder) as server:
        def post(body):
            return send_raw(server.port, b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                            b"Content-Length: %d\r\n\r\n" % len(body) + body)

        bodies = {"nesting": b"[" * 2_000_000, "nested objects": b'{"a":' * 500_000, "no JSON": bytes(range(256)) * 4000,
                  "a huge number": b'{"messages":[{"role":"user","content":"a"}],"max_tokens":' + b"9" * 100_000 + b"}",
                  "a huge text": json.dumps({"messages": [{"role": "user", "content": "a" * 20_000_000}]}).encode(),
                  "many messages": json.dumps({"messages": [{"role": "user", "content": "a"}] * 200_000}).encode(),
                  "many stops": json.dumps({"messages": [{"role": "user", "content": "a"}],
                                            "stop": ["x"] * 100_000}).encode(),
                  "a bomb of a pattern": json.dumps({"messages": [{"role": "user", "content": "a"}],
                                                     "guided_regex": "((a{1,1000}){1,1000}){1,1000}"}).encode(),
                  "half a character": b'{"messages":[{"role":"user","content":"\xf0\x9f"}]}', "nothing": b""}
        for name, body in bodies.items():
            back = post(body)
            check(back is not None, f"{name}: an answer comes")
            check(re.match(rb"HTTP/1\.1 4\d\d ", back) and b'"error"' in back, f"{name}: refused, not {back[:200]}")
        too_big = send_raw(server.port, b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
                           b"Content-Length: 99999999999\r\n\r\n")
        check(too_big is not None and b" 413 " in too_big[:20], f"100 GB: {too_big}")
        source = random.Random(3)
        for i in range(300):
            send_raw(server.port, source.randbytes(source.randrange(1, 2000)))
        server.alive("hostile bodies")
        resident = int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{server.process.pid}/status").read_text())[1])
        check(resident < 3_000_000, f"memory stayed bounded: {resident} kB at most")


def clients_that_stall(folder):
    with Server(folder, "--parallel", "8") as server:
        stalled = []
        request = json.dumps({"prompt": "a", "max_tokens": 400, "stream": True, "ignore_eos": True}).encode()
        head = b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(request)
        for i in range(120):
            client = socket.create_connection(("127.0.0.1", server.port))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            # A third each: never reads, sends half of a request, says nothing.
            client.sendall([head + request, head + request[:9], b""][i % 3])
            stalled.append(client)
        server.complete("somebody well-behaved", 8)  # served meanwhile: those who stall stay
        for i, client in enumerate(stalled):  # half of them leave by a reset
            if i % 2:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            client.close()
        server.until_nothing_runs("clients that stall")
        server.alive("clients that stall")


def half_open(folder):
    """The client's machine loses power: no FIN, no RST, and nobody there for what comes."""
    tcp_repair = 19
    with Server(folder) as server:
        client = socket.create_connection(("127.0.0.1", server.port))
        body = json.dumps({"prompt": "a", "max_tokens": 400, "stream": True, "ignore_eos": True}).encode()
        try:
            client.setsockopt(socket.IPPROTO_TCP, tcp_repair, 1)
            client.setsockopt(socket.IPPROTO_TCP, tcp_repair, 0)
        except OSError as error:
            print(f"half-open connections are skipped: TCP_REPAIR needs CAP_NET_ADMIN ({error})")
            client.close()
            return
        client.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        client.recv(100)
        client.setsockopt(socket.IPPROTO_TCP, tcp_repair, 1)
        client.close()  # silently
        server.until_nothing_runs("a client that vanished")
        server.alive("a half-open connection")


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="deepwell-faults-"))
    try:
        shutil.copytree(MODEL, folder / "model")
        write_tokenizer(folder / "model")
        wanted = sys.argv[3:]
        for fault in (kill_and_restart, broken_cache, full_disk, stop_under_load, hostile_bodies, clients_that_stall,
                      half_open, beyond_this_machine, one_folder_one_server, rotated_log,
                      experts_on_disk):
            if wanted and fault.__name__ not in wanted:
                continue
            begin = time.monotonic()
            fault(folder)
            print(f"{fault.__name__}: ok, {time.monotonic() - begin:.1f} s", flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


main()
