# SPDX-License-Identifier: Apache-2.0
"""What the tests of the page share: a Chromium, driven by Playwright, and words for what a person does."""
import contextlib
import re
import shutil

from client_support import check, skip

try:
    from playwright.sync_api import expect, sync_playwright
except ImportError as missing:
    skip(missing)

expect.set_options(timeout=60_000)
ASK = ".composer textarea"


@contextlib.contextmanager
def browser():
    """Chromium, and a judge of every page it opens: no error in a console, nothing fetched from elsewhere."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        skip("chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            yield chromium
        finally:
            chromium.close()


def open_page(chromium, url, allowed=(), **options):
    """A page of its own; `allowed`: what its console may complain of."""
    context = chromium.new_context(**{"locale": "en-US", "viewport": {"width": 1280, "height": 800}, **options})
    page = context.new_page()
    page.complaints = []

    def complain(text):
        if not any(re.search(one, text) for one in allowed):
            page.complaints.append(text)

    page.on("console", lambda message: complain(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complain(str(error)))
    page.on("request", lambda request: None if request.url.startswith((url, "data:", "blob:"))
            else complain("fetched " + request.url))
    page.goto(url)
    return page


def close_page(page):
    check(page.complaints == [], f"the console is quiet: {page.complaints}")
    page.context.close()


def ask(page, text):
    page.fill(ASK, text)
    page.keyboard.press("Enter")


def answers(page):
    return page.locator(".message.assistant")


def finished(page):
    """Waits until nothing is being written."""
    expect(page.locator("button.send:not(.stop)")).to_be_visible()
    expect(page.locator(".markdown.live")).to_have_count(0)
