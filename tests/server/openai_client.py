# SPDX-License-Identifier: Apache-2.0
"""Goal: the official OpenAI client works against the server unmodified.
Method: the real server over a scripted engine (its program is argv[1]); every call parses into typed objects."""
import subprocess
import sys

import openai


def check(condition, what):
    if not condition:
        raise SystemExit(f"failed: {what}")


def main():
    server = subprocess.Popen([sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True)
    try:
        port = int(server.stdout.readline())
        client = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none", max_retries=0)
        everything(client)
    finally:
        server.stdin.close()
        server.wait(timeout=20)
    check(server.returncode == 0, "the server ends cleanly")
    print("ok")


def everything(client):
    hello = [{"role": "user", "content": "Hello"}]
    models = [model.id for model in client.models.list()]
    check("fake-model" in models, f"models.list has the model: {models}")
    check(client.models.retrieve("fake-model").id == "fake-model", "models.retrieve")

    whole = client.chat.completions.create(model="fake-model", messages=hello)
    text = whole.choices[0].message.content
    check(text.startswith("Hello world! 你好 🐳"), f"chat text: {text!r}")
    check(whole.choices[0].finish_reason == "stop", "finish_reason")
    check(whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens, "usage adds up")

    streamed, last = "", None
    for chunk in client.chat.completions.create(model="fake-model", messages=hello, stream=True,
                                                stream_options={"include_usage": True}):
        if chunk.choices:
            streamed += chunk.choices[0].delta.content or ""
        last = chunk
    check(streamed == text, f"stream equals whole: {streamed!r}")
    check(last.choices == [] and last.usage.completion_tokens > 0, "the last chunk has the usage")

    stopped = client.chat.completions.create(model="fake-model", messages=hello, stop=["你好", "never"])
    check(stopped.choices[0].message.content == "Hello world! ", f"stop: {stopped.choices[0].message.content!r}")
    cut = client.chat.completions.create(model="fake-model", messages=hello, max_completion_tokens=2, n=3)
    check([c.message.content for c in cut.choices] == ["Hello world"] * 3, "n and max_completion_tokens")
    check(cut.choices[0].finish_reason == "length", "finish_reason length")

    scored = client.chat.completions.create(model="fake-model", messages=hello, logprobs=True, top_logprobs=3,
                                            max_tokens=2)
    content = scored.choices[0].logprobs.content
    check([t.token for t in content] == ["Hello", " world"], "logprobs tokens")
    check(len(content[0].top_logprobs) == 3 and bytes(content[0].bytes) == b"Hello", "top_logprobs and bytes")

    raw = client.completions.create(model="fake-model", prompt=["one", "two"], max_tokens=2, logprobs=2, n=2)
    check([c.text for c in raw.choices] == ["Hello world"] * 4, "completions")
    check(raw.choices[0].logprobs.tokens == ["Hello", " world"], "completion logprobs")
    check(raw.choices[0].logprobs.text_offset == [0, 5], "completion text_offset")
    pieces = client.completions.create(model="fake-model", prompt="one", max_tokens=2, stream=True, echo=True)
    check("".join(p.choices[0].text for p in pieces) == "oneHello world", "completion stream with echo")

    for kind, parameters in [
        (openai.NotFoundError, {"model": "gpt-9", "messages": hello}),
        (openai.BadRequestError, {"model": "fake-model", "messages": []}),
        (openai.BadRequestError, {"model": "fake-model", "messages": hello, "temperature": -1}),
        (openai.BadRequestError, {"model": "fake-model", "messages": hello, "response_format": {"type": "json_object"}}),
        (openai.BadRequestError, {"model": "fake-model", "messages": [{"role": "user", "content": "x" * 5000}]}),
    ]:
        try:
            client.chat.completions.create(**parameters)
        except kind as error:
            check(error.body and error.body["message"], f"{kind.__name__} has a message")
        else:
            check(False, f"{kind.__name__} is raised for {str(parameters)[:80]}")


main()
