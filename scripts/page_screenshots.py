#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Takes the pictures of the chat page in docs/images, from a server that runs with --data-dir and no keys.

Usage: page_screenshots.py URL   (needs the packages of scripts/requirements-test.txt, chromium, fonts-roboto-unhinted and
                                  fonts-noto-cjk; the chats it shows are written to the server first)
"""
import json
import pathlib
import shutil
import sys
import threading
import time
import urllib.request

from playwright.sync_api import sync_playwright

OUT = pathlib.Path(__file__).resolve().parent.parent / "docs" / "images"
MODEL = "deepseek-r1-distill-qwen-7b"

ROOTS = r"""Start from $ax^2 + bx + c = 0$ with $a \neq 0$.

1. **Divide by $a$** and move the constant: $x^2 + \frac{b}{a}x = -\frac{c}{a}$
2. **Complete the square** by adding $\left(\frac{b}{2a}\right)^2$ to both sides:

$$\left(x + \frac{b}{2a}\right)^2 = \frac{b^2 - 4ac}{4a^2}$$

3. **Take roots** and solve for $x$:

$$x = \frac{-b \pm \sqrt{b^2 - 4ac}}{2a}$$

| $b^2 - 4ac$ | real roots |
|---|---|
| positive | two |
| zero | one |
| negative | none |
"""
ROOTS_THOUGHT = r"""The user wants a derivation, not only the formula. Completing the square is the usual way: divide by $a$, move the
constant, add the square of half the linear coefficient.

I should say that $a \neq 0$, and what the sign under the root means."""

MERGE = """Walk both lists at once and always take the smaller head:

```python
def merge(left: list[int], right: list[int]) -> list[int]:
    \"\"\"Two sorted lists as one. O(n + m) time.\"\"\"
    merged, i, j = [], 0, 0
    while i < len(left) and j < len(right):
        if left[i] <= right[j]:  # <= keeps equal items in order
            merged.append(left[i])
            i += 1
        else:
            merged.append(right[j])
            j += 1
    return merged + left[i:] + right[j:]
```

Only one of the two tails still holds anything at the end, and it is sorted already. For a stream of values,
`heapq.merge(left, right)` does the same **lazily**.
"""
TEA = """三个适合下雨周末的主意：

1. **煮一壶好茶，读一本旧书**：挑一本多年前喜欢的书重读，感受会很不一样。
2. **整理照片**：按年份建文件夹，每年留下最好的 20 张。
3. **做一锅慢炖菜**，例如：

   | 食材 | 用量 |
   |---|---|
   | 牛腩 | 500 g |
   | 番茄 | 3 个 |
   | 洋葱 | 1 个 |

雨声就是最好的背景音乐。☔
"""


def chat(name, title, minutes, *turns):
    """A chat of questions and answers; a turn is (question, answer, thought)."""
    now = int(time.time() * 1000) - minutes * 60_000
    messages, parent = [], None
    for index, (question, answer, thought) in enumerate(turns):
        messages.append({"id": f"q{index}", "parent": parent, "role": "user", "content": question, "created": now})
        messages.append({"id": f"a{index}", "parent": f"q{index}", "role": "assistant", "content": answer, "created": now,
                         "model": MODEL, "finish": "stop", "reasoning": thought, "thinkingMs": 8400 if thought else 0,
                         "stats": {"promptTokens": 412, "answerTokens": 286, "cachedTokens": 384, "firstTokenMs": 310,
                                   "tokensPerSecond": 27.6}})
        parent = f"a{index}"
    return name, {"title": title, "created": now, "updated": now, "state": {"leaf": parent}, "messages": messages}


CHATS = [
    chat("roots", "Derive the quadratic formula", 1, ("Derive the quadratic formula step by step", ROOTS, ROOTS_THOUGHT)),
    chat("merge", "Merge two sorted lists", 3, ("Write a Python function that merges two sorted lists", MERGE, "")),
    chat("tea", "下雨的周末", 9, ("给我三个下雨周末的好主意", TEA, "")),
    chat("letter", "A letter to the landlord", 60 * 26, ("Help me write a letter", "Of course.", "")),
    chat("trip", "Three days in Lisbon", 60 * 28, ("Plan three days in Lisbon", "Gladly.", "")),
    chat("sql", "Why is this query slow?", 60 * 24 * 4, ("Why is this query slow?", "An index is missing.", "")),
    chat("report", "季度报告摘要", 60 * 24 * 5, ("总结这份报告", "好的。", "")),
]


def call(url, path, body=None, method=None):
    request = urllib.request.Request(url + path, json.dumps(body).encode() if body is not None else None,
                                     {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=120) as reply:
        return reply.read()


def work(url, stop):
    """Keeps the server busy, so that the dashboard has something to show."""
    prompt = "Write a long story about a well. " * 12
    while not stop.is_set():
        body = {"messages": [{"role": "user", "content": prompt}], "max_tokens": 160}
        try:
            call(url, "/v1/chat/completions", body)
        except OSError:
            return
        time.sleep(0.3)


def shoot(chromium, url, name, place="", prepare=None, **options):
    context = chromium.new_context(**{"viewport": {"width": 1280, "height": 800}, "locale": "en-US", "bypass_csp": True,
                                      **options})
    page = context.new_page()
    page.goto(f"{url}/#/{place}")
    page.wait_for_selector(".status.ready")
    # The fonts of a usual desktop, whatever this machine calls its own.
    page.add_style_tag(content="body { font-family: Roboto, 'Noto Sans CJK SC', sans-serif !important }")
    page.wait_for_timeout(700)
    if prepare:
        prepare(page)
    page.screenshot(path=OUT / f"{name}.png")
    context.close()
    print(f"{name}.png: {(OUT / f'{name}.png').stat().st_size // 1000} kB")


def main(url):
    OUT.mkdir(parents=True, exist_ok=True)
    for name, body in CHATS:
        call(url, f"/deepwell/chats/{name}", body, "PATCH")

    def open_thoughts(page):
        page.click(".fold")
        page.wait_for_timeout(700)
        page.evaluate("document.querySelector('.scroller').scrollTop = 0")
        page.wait_for_timeout(200)

    phone = {"viewport": {"width": 390, "height": 780}, "device_scale_factor": 1.5, "is_mobile": True, "has_touch": True}
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        shoot(chromium, url, "chat-light", "c/merge")
        shoot(chromium, url, "chat-dark", "c/roots", open_thoughts, color_scheme="dark")
        shoot(chromium, url, "chat-zh", "c/tea", locale="zh-CN")
        shoot(chromium, url, "phone-zh", "c/tea", locale="zh-CN", color_scheme="dark", **phone)
        shoot(chromium, url, "phone-en", "c/merge", **phone)
        stop = threading.Event()
        threads = [threading.Thread(target=work, args=(url, stop)) for _ in range(10)]
        for thread in threads:
            thread.start()
        shoot(chromium, url, "dashboard", "dashboard", lambda page: page.wait_for_timeout(30_000), color_scheme="dark")
        stop.set()
        for thread in threads:
            thread.join()
        chromium.close()
    for name, _ in CHATS:
        call(url, f"/deepwell/chats/{name}", method="DELETE")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1].rstrip("/"))
