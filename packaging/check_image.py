#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the steps of packaging/Dockerfile where no container engine is: each FROM is a copy of a Debian root, each RUN
runs in it by chroot, COPY, ENV, WORKDIR, USER and CMD do what they say. At the end the program starts and answers.

Usage (as root): check_image.py [--root DIR] [--cache DIR] [--certificates FILE] [--folder DIR]
  --root DIR            a minimal Debian 12 with its updates, where a Rust that is new enough is; made when not given
  --cache DIR           a ccache folder to compile with
  --certificates FILE   what downloads shall trust, where the network inspects traffic
  --folder DIR          where the images are made, 5 GB, and removed at the end (the system's, for temporary files)
What it cannot show: layers, the engine's own user and network namespaces, VOLUME and published ports."""
import argparse
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

SOURCE = pathlib.Path(__file__).resolve().parent.parent


def steps(text):
    """[(word, rest)] of a Dockerfile, continued lines joined."""
    text = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    return [tuple(line.strip().split(None, 1)) for line in text.replace("\\\n", " ").splitlines() if line.strip()]


def left_out(folder, names):
    """What .dockerignore keeps out of the image: names at the top, and with **/ anywhere."""
    patterns = (SOURCE / ".dockerignore").read_text().split()
    top = pathlib.Path(folder) == SOURCE
    return {name for name in names for pattern in patterns
            if name == pattern.removeprefix("**/") and (top or pattern.startswith("**/"))}


def add_updates(sources):
    """debian:12-slim has them, and with them a Rust that is new enough; debootstrap names the release alone."""
    release = sources.read_text().splitlines()[0]  # deb MIRROR bookworm main
    mirror = release.split()[1]
    updates = release.replace("bookworm", "bookworm-updates")
    security = release.replace(mirror, mirror + "-security").replace("bookworm", "bookworm-security")
    sources.write_text("\n".join([release, updates, security, ""]))


class Stage:
    def __init__(self, root):
        self.root, self.folder, self.user, self.mounted = root, "/", None, []
        self.variables = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}

    def fill(self, base, certificates):
        subprocess.run(["cp", "-a", "--reflink=auto", str(base), str(self.root)], check=True)
        shutil.copy("/etc/resolv.conf", self.root / "etc/resolv.conf")
        for name in ("proc", "dev"):
            self.mount(f"/{name}", name)
        if certificates:
            shutil.copy(certificates, self.root / "etc/network-certificates.pem")
            for name in ("SSL_CERT_FILE", "CARGO_HTTP_CAINFO", "NODE_EXTRA_CA_CERTS", "PIP_CERT"):
                self.variables[name] = "/etc/network-certificates.pem"

    def mount(self, source, name):
        target = self.root / name
        target.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "--bind", source, str(target)], check=True)
        self.mounted.append(target)

    def leave(self):
        """Unmounts; what a step that failed left running may hold on for a moment. No folder is removed before: what is
        mounted is this machine's."""
        for _ in range(60):
            while self.mounted and subprocess.run(["umount", str(self.mounted[-1])], capture_output=True).returncode == 0:
                self.mounted.pop()
            if not self.mounted:
                return
            time.sleep(0.5)
        raise SystemExit(f"{self.mounted[-1]} is in use; end what runs in {self.root}, then unmount and remove it")

    def become(self, user):
        self.user = user
        for line in (self.root / "etc/passwd").read_text().splitlines():
            if line.split(":")[0] == user:
                self.variables["HOME"] = line.split(":")[5]

    def command(self, words, **more):
        user = [f"--userspec={self.user}:{self.user}"] if self.user else []
        inside = f'cd {shlex.quote(self.folder)} && exec "$@"'
        return subprocess.Popen(["chroot", *user, str(self.root), "/bin/sh", "-c", inside, "sh", *words],
                                env=self.variables, **more)

    def run(self, words):
        code = self.command(words).wait()
        if code != 0:
            raise SystemExit(f"failed with {code}: {shlex.join(words)}")

    def copy(self, sources, target, source_root):
        into = pathlib.PurePosixPath(self.folder) / target
        place = self.root / str(into).lstrip("/")
        place.mkdir(parents=True, exist_ok=True)
        for source in sources:
            found = source_root / source.lstrip("/")
            if found.is_dir():  # its content, as COPY has it
                ignore = left_out if source_root == SOURCE else None
                shutil.copytree(found, place, symlinks=True, ignore=ignore, dirs_exist_ok=True)
            else:
                shutil.copy2(found, place)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--root", type=pathlib.Path)
    options.add_argument("--cache", type=os.path.abspath)
    options.add_argument("--certificates", type=pathlib.Path)
    options.add_argument("--folder")
    given = options.parse_args()
    if os.geteuid() != 0:
        raise SystemExit("chroot and mount need root")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # as Ctrl-C: what was mounted is unmounted
    work = pathlib.Path(tempfile.mkdtemp(prefix="deepwell-image-", dir=given.folder))
    base = given.root
    if base is None:
        base = work / "base"
        subprocess.run(["debootstrap", "--variant=minbase", "bookworm", str(base)], check=True)
        add_updates(base / "etc/apt/sources.list")
    stages, stage, entry, default = {}, None, [], []
    try:
        for word, rest in steps((SOURCE / "packaging/Dockerfile").read_text()):
            print(f"== {word} {rest}", flush=True)
            if word == "FROM":
                name = rest.split()[2] if " AS " in rest else f"stage{len(stages)}"
                stage = stages[name] = Stage(work / name)
                stage.fill(base, given.certificates)
                if given.cache and len(stages) == 1:
                    stage.mount(given.cache, "ccache")
                    stage.variables["CCACHE_DIR"] = "/ccache"
            elif word == "RUN":
                stage.run(["/bin/sh", "-c", rest])
            elif word == "ENV":
                stage.variables.update(pair.split("=", 1) for pair in shlex.split(rest))
            elif word == "WORKDIR":
                stage.folder = rest
                (stage.root / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
            elif word == "COPY":
                words = rest.split()
                origin = SOURCE
                if words[0].startswith("--from="):
                    origin = stages[words.pop(0).split("=")[1]].root
                stage.copy(words[:-1], words[-1], origin)
            elif word == "USER":
                stage.become(rest)
            elif word in ("ENTRYPOINT", "CMD"):
                words = re.findall(r'"([^"]*)"', rest)
                entry, default = (words, default) if word == "ENTRYPOINT" else (entry, words)
            elif word not in ("VOLUME", "EXPOSE", "STOPSIGNAL"):
                raise SystemExit(f"check_image.py does not know {word}")
        stage.folder = "/"
        stage.run([*entry, "--version"])
        stage.run([*entry, "pull", "default"])
        server = stage.command([*entry, *default, "--port", "18321"])
        try:
            for _ in range(100):
                try:
                    answer = urllib.request.urlopen("http://127.0.0.1:18321/health", timeout=2).read()
                    break
                except OSError:
                    time.sleep(0.3)
            else:
                raise SystemExit("the server does not answer")
            print(f"it answers: {answer.decode()}")
        finally:
            server.terminate()
            code = server.wait(timeout=60)
        if code != 0:
            raise SystemExit(f"the server ended with {code}")
        print("ok")
    finally:
        for one in stages.values():
            one.leave()
        shutil.rmtree(work, ignore_errors=True)


main()
