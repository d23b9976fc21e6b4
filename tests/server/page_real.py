# SPDX-License-Identifier: Apache-2.0
"""Goal: the page and the program as a user runs it: keys are asked for, chats belong to their key and survive a kill,
stopping reaches the engine, who waits sees the queue, and without a folder the browser keeps the chats.
Method: Chromium against `deepwell serve` (argv[1]) with a model of a few kilobytes."""
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

from browser import ASK, answers, ask, browser, close_page, expect, finished, open_page
from client_support import check, skip

try:
    from tiny_model import write_tiny_model
except ImportError as missing:
    skip(missing)


def serve(*flags):
    """The running program and its address."""
    server = subprocess.Popen([sys.argv[1], "serve", *map(str, flags)], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True)
    url = re.search(r"http://[\d.:]+", server.stdout.readline())
    check(url is not None, "the server starts")
    return server, url.group() + "/"


def health(url):
    with urllib.request.urlopen(url + "health", timeout=60) as reply:
        return json.load(reply)


def chats_with(url, word, key):
    request = urllib.request.Request(f"{url}deepwell/chats?q={word}", headers={"Authorization": f"Bearer {key}"})
    with urllib.request.urlopen(request, timeout=60) as reply:
        return json.load(reply)["data"]


def queueing(page, url):
    """While others are answered the page tells the place in the queue, and may leave it."""
    body = json.dumps({"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1500, "seed": 1}).encode()
    request = urllib.request.Request(url + "v1/chat/completions", body, {"Authorization": "Bearer ann-key"})
    stop = threading.Event()

    def crowd():
        while not stop.is_set():
            with urllib.request.urlopen(request, timeout=120) as reply:
                reply.read()

    threads = [threading.Thread(target=crowd) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        while health(url)["waiting"] == 0:
            time.sleep(0.01)
        ask(page, "In the queue")
        expect(page.locator(".waiting")).to_contain_text("Place")
        expect(page.locator(".status")).to_contain_text("waiting")
        page.keyboard.press("Escape")
        finished(page)
        expect(answers(page).last.locator(".stats")).to_have_text("Stopped")
    finally:
        stop.set()
    for thread in threads:
        thread.join()


def with_keys(chromium, folder, model):
    (folder / "keys").write_text("ann-key\nbob-key\n", encoding="utf-8")
    flags = (model, "--api-key-file", folder / "keys", "--data-dir", folder / "data", "--threads", 1,
             "--parallel", 1, "--context", 32768, "--drain-seconds", 1)
    server, url = serve(*flags, "--port", 0)
    try:
        # Nobody answers while the server is gone, and 401 is how the page learns that a key is wanted.
        page = open_page(chromium, url, allowed=["status of 401", "ERR_CONNECTION_REFUSED", "ERR_EMPTY"])
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("API key").fill("wrong")
        dialog.get_by_role("button", name="Use this key").click()
        expect(dialog).to_contain_text("does not know this key")
        dialog.get_by_label("API key").fill("ann-key")
        dialog.get_by_role("button", name="Use this key").click()
        expect(dialog).to_have_count(0)
        page.keyboard.press("Control+,")
        page.get_by_label("Longest answer").fill("1000000")
        page.keyboard.press("Escape")

        ask(page, "Ann's question")
        expect(page.locator(".stats.live")).to_contain_text("tokens/s")
        page.get_by_role("button", name="Stop").click()
        finished(page)
        deadline = time.monotonic() + 60
        while health(url)["running"] and time.monotonic() < deadline:
            time.sleep(0.05)
        check(health(url)["running"] == 0, "what was stopped is not computed any more")
        # Not inner_text: a random model may write a formula, whose look comes with a style sheet of its own.
        said = answers(page).last.locator(".markdown").text_content()
        check(len(said) > 0, "what was said before the stop is kept")
        queueing(page, url)
        # On the server, not only on the page: the next line kills it.
        expect(page.locator("nav li.current")).to_contain_text("Ann's question")
        deadline = time.monotonic() + 60
        while not chats_with(url, "queue", "ann-key") and time.monotonic() < deadline:
            page.wait_for_timeout(50)
        check(chats_with(url, "queue", "ann-key"), "the server keeps the last question")

        server.kill()
        server.wait()
        expect(page.locator(".status.gone")).to_be_visible()
        server, again = serve(*flags, "--port", url.rsplit(":", 1)[1].strip("/"))
        check(again == url, "the same port")
        page.reload()
        expect(page.locator(".bubble")).to_have_text(["Ann's question", "In the queue"])
        check(answers(page).first.locator(".markdown").text_content() == said, "the answer survived")
        close_page(page)

        page = open_page(chromium, url, allowed=["status of 401"])
        page.get_by_role("dialog").get_by_label("API key").fill("bob-key")
        page.keyboard.press("Enter")
        expect(page.locator("nav .none")).to_have_text("No chats yet")
        close_page(page)
    finally:
        server.terminate()
        server.wait(timeout=60)


def without_folder(chromium, model):
    server, url = serve(model, "--port", 0, "--threads", 1, "--drain-seconds", 1)
    try:
        page = open_page(chromium, url, allowed=["status of 501"])
        expect(page.locator(".here")).to_contain_text("in this browser only")
        page.keyboard.press("Control+,")
        page.get_by_label("Longest answer").fill("12")
        page.keyboard.press("Escape")
        ask(page, "Keep this")
        finished(page)
        page.reload()
        expect(page.locator(".bubble")).to_have_text("Keep this")
        page.get_by_label("Search chats").fill("keep th")
        expect(page.locator("nav li .found")).to_contain_text("Keep this")
        close_page(page)
    finally:
        server.terminate()
        server.wait(timeout=60)


with browser() as chromium, tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    write_tiny_model(folder / "tiny.gguf")
    with_keys(chromium, folder, folder / "tiny.gguf")
    without_folder(chromium, folder / "tiny.gguf")
print("ok")
