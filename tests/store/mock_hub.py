# SPDX-License-Identifier: Apache-2.0
"""A small model hub on 127.0.0.1 that misbehaves on demand; for tests/store. Needs only the standard library.

Prints its port, then serves until its standard input ends. It speaks Hugging Face's and ModelScope's dialect for
the repositories below; what a repository does wrong is in its name. /log answers what was asked so far.
"""
import hashlib
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlparse


def content(name, size):
    seed = hashlib.sha256(name.encode()).digest()
    return (seed * (size // len(seed) + 1))[:size]


BIG = 300_000
FILES = {
    "plain": {"m.Q4_K_M.gguf": 1000, "m.Q8_0.gguf": 2000, "README.md": 10},
    "quants": {f"m-{q}.gguf": 500 for q in ("Q8_0", "q5_k_m", "Q3_K_S", "IQ2_XXS", "F16")} | {"mmproj-F16.gguf": 9},
    "split": {f"Q4_K_M/m-Q4_K_M-0000{i}-of-00003.gguf": 700 + i for i in (1, 2, 3)}
    | {f"UD-Q2_K_XL/m-UD-Q2_K_XL-0000{i}-of-00002.gguf": 300 for i in (1, 2)} | {"m-Q8_0-00001-of-00002.gguf": 5},
    "twins": {"a-Q4_0.gguf": 40, "b-Q4_0.gguf": 41},
    "redirect": {"m.Q4_K_M.gguf": 5000},
    "cut": {"m.Q4_K_M.gguf": BIG},          # every connection ends after 100,000 bytes
    "norange": {"m.Q4_K_M.gguf": BIG},      # cut once, and cannot resume
    "always-cut": {"m.Q4_K_M.gguf": BIG},   # never gets beyond 1,000 bytes
    "wrong": {"m.Q4_K_M.gguf": 5000},       # sends other bytes than it announced
    "long": {"m.Q4_K_M.gguf": 5000},        # sends more
    "busy": {"m.Q4_K_M.gguf": 5000},        # 503 twice, then fine
    "slow": {"m.Q4_K_M.gguf": BIG},         # half a second for it
    "bare": {"m.Q4_K_M.gguf": 4000},        # the listing has no sizes and hashes
    "traversal": {"../../evil.gguf": 100, "m.Q4_K_M.gguf": 100},
    "gated": {"m.Q4_K_M.gguf": 100},        # needs the token "secret"
    "checkpoint": {"README.md": 10, "config.json": 50, "model.safetensors": 900, "tokenizer.json": 60},
    "html": {}, "no-gguf": {"config.json": 5},
}
COMMIT = hashlib.sha1(b"revision").hexdigest()
lock = threading.Lock()
log, seen = [], {}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def reply(self, status, body=b"", **headers):
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
        self.send_response(status)
        headers.setdefault("Content_Length", str(len(body)))
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = lambda self: self.do_GET()

    def do_GET(self):
        url = urlparse(self.path)
        parts = unquote(url.path).strip("/").split("/")
        query = {k: v[0] for k, v in parse_qs(url.query).items()}
        with lock:
            log.append({"path": self.path, "range": self.headers.get("Range", ""), "method": self.command,
                        "token": self.headers.get("Authorization", ""), "host": self.headers["Host"]})
        if parts == ["log"]:
            return self.reply(200, log)
        if parts[:2] == ["api", "models"] and len(parts) == 6:
            return self.listing(parts[3], query)
        if parts[:3] == ["api", "v1", "models"] and parts[5:] == ["repo", "files"]:
            return self.modelscope_listing(parts[4])
        if parts[:3] == ["api", "v1", "models"] and parts[5:] == ["repo"]:
            return self.file(parts[4], query["FilePath"])
        if len(parts) > 4 and parts[2] == "resolve":
            return self.file(parts[1], "/".join(parts[4:]))
        if parts[0] == "cdn":
            return self.send(parts[1], "/".join(parts[2:]))
        self.reply(404, b"no such page")

    def refused(self, repo):
        if repo not in FILES:
            self.reply(404, b"Repository not found", X_Error_Message="Repository not found")
        elif repo == "gated" and self.headers.get("Authorization") != "Bearer secret":
            self.reply(401, b"gated", X_Error_Code="GatedRepo", X_Error_Message="Access to model is restricted")
        elif repo == "busy" and self.count(repo) <= 2:
            self.reply(503, b"overloaded")
        else:
            return False
        return True

    def count(self, key):
        with lock:
            seen[key] = seen.get(key, 0) + 1
            return seen[key]

    def listing(self, repo, query):
        if self.refused(repo):
            return
        if repo == "html":
            return self.reply(200, b"<html>captive portal</html>")
        siblings = []
        for name, size in FILES[repo].items():
            entry = {"rfilename": name}
            if query.get("blobs") and repo != "bare":
                data = content(name, size)
                entry |= {"size": size, "blobId": hashlib.sha1(b"blob %d\0" % size + data).hexdigest()}
                if name.endswith(".gguf"):
                    entry["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": size, "pointerSize": 130}
            siblings.append(entry)
        self.reply(200, {"id": repo, "sha": COMMIT, "siblings": siblings})

    def modelscope_listing(self, repo):
        if self.refused(repo):
            return
        files = [{"Name": name.split("/")[-1], "Path": name, "Type": "blob", "Size": size,
                  "Sha256": hashlib.sha256(content(name, size)).hexdigest()} for name, size in FILES[repo].items()]
        files.append({"Name": "folder", "Path": "folder", "Type": "tree", "Size": 0})
        self.reply(200, {"Code": 200, "Success": True, "Data": {"Files": files}})

    def file(self, repo, name):
        if self.refused(repo):
            return
        if repo in ("redirect", "bare", "gated"):
            data = content(name, FILES[repo][name])
            # Another host name for the same server, as a CDN is.
            port = self.server.server_address[1]
            return self.reply(302, b"", Location=f"http://localhost:{port}/cdn/{repo}/{name}",
                              X_Linked_Etag=f'"{hashlib.sha256(data).hexdigest()}"', X_Linked_Size=str(len(data)),
                              Etag='"of-the-redirect"')
        self.send(repo, name)

    def send(self, repo, name):
        data = content(name, FILES[repo][name])
        if repo == "wrong":
            data = b"x" * len(data)
        if repo == "long":
            data += b"more"
        total, start, status, headers = len(data), 0, 200, {}
        asked = self.headers.get("Range", "")
        if asked.startswith("bytes=") and repo != "norange":
            start = int(asked[6:].split("-")[0])
            if start >= total:
                return self.reply(416, b"", Content_Range=f"bytes */{total}")
            status, headers = 206, {"Content_Range": f"bytes {start}-{total - 1}/{total}"}
        limit = {"cut": 100_000, "always-cut": max(0, 1000 - start)}.get(repo, total)
        if repo == "norange" and self.count(repo) == 1:
            limit = 100_000
        if repo == "slow":
            time.sleep(0.5)
        self.send_response(status)
        self.send_header("Content-Length", str(total - start))
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()
        if self.command == "HEAD":
            return
        self.wfile.write(data[start:start + limit])
        if start + limit < total:
            self.close_connection = True


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # clients that hang up are part of the tests


server = Server(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_address[1], flush=True)
sys.stdin.read()
