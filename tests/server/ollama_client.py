# SPDX-License-Identifier: Apache-2.0
"""Goal: the official Ollama client works against the server unmodified: chat, generate, tools, formats, models."""
import json

from client_support import check, skip, with_server

try:
    import ollama
except ImportError as missing:
    skip(missing)

HELLO = [{"role": "user", "content": "Hello"}]


def everything(port):
    client = ollama.Client(host=f"http://127.0.0.1:{port}")
    whole = client.chat(model="fake-model", messages=HELLO)
    text = whole.message.content
    check(text.startswith("Hello world! 你好 🐳") and whole.done_reason == "stop", f"chat: {whole}")
    check(whole.eval_count > 5 and whole.prompt_eval_count > 0, f"counts: {whole}")
    pieces = list(client.chat(model="fake-model:latest", messages=HELLO, stream=True))
    check("".join(piece.message.content for piece in pieces) == text and pieces[-1].done, "stream equals whole")
    check(client.generate(model="fake-model", prompt="Hello").response == text, "generate")
    cut = client.generate(model="fake-model", prompt="Hello", raw=True, options={"num_predict": 2, "num_ctx": 4096})
    check(cut.response == "Hello world" and cut.done_reason == "length", f"num_predict: {cut}")

    schema = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"],
              "additionalProperties": False}
    formed = client.chat(model="fake-model", messages=HELLO, format=schema)
    check(isinstance(json.loads(formed.message.content)["age"], int), f"format: {formed.message.content!r}")

    check(client.list().models[0].model == "fake-model", "list")
    check(client.ps().models[0].model == "fake-model", "ps")
    check("completion" in client.show("fake-model").capabilities, "show")
    for call in (lambda: client.chat(model="nobody", messages=HELLO), lambda: client.pull("llama3"),
                 lambda: client.show("nobody")):
        try:
            call()
        except ollama.ResponseError as error:
            check(error.error, "an error has a message")
        else:
            check(False, "an error is raised")


with_server(everything)
