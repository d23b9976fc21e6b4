# SPDX-License-Identifier: Apache-2.0
"""Goal: the official Anthropic client works against the server unmodified: messages, streams, tools, errors."""
from client_support import check, skip, with_server

try:
    import anthropic
except ImportError as missing:
    skip(missing)

HELLO = [{"role": "user", "content": "Hello"}]
WEATHER = {"name": "get_weather", "description": "The weather", "input_schema": {
    "type": "object", "properties": {"city": {"enum": ["Ulm", "Bonn"]}, "days": {"type": "integer"}},
    "required": ["city", "days"], "additionalProperties": False}}


def everything(port):
    client = anthropic.Anthropic(base_url=f"http://127.0.0.1:{port}", api_key="none", max_retries=0)
    whole = client.messages.create(model="fake-model", max_tokens=1000, messages=HELLO, system="Be brief.")
    text = whole.content[0].text
    check(text.startswith("Hello world! 你好 🐳"), f"text: {text!r}")
    check(whole.stop_reason == "end_turn" and whole.usage.output_tokens > 5, f"stop_reason and usage: {whole}")

    with client.messages.stream(model="fake-model", max_tokens=1000, messages=HELLO) as stream:
        check("".join(stream.text_stream) == text, "stream equals whole")
        final = stream.get_final_message()
    check(final.stop_reason == "end_turn" and final.usage.output_tokens == whole.usage.output_tokens, f"final: {final}")

    cut = client.messages.create(model="fake-model", max_tokens=2, messages=HELLO)
    check(cut.stop_reason == "max_tokens" and cut.content[0].text == "Hello world", f"max_tokens: {cut}")
    stopped = client.messages.create(model="fake-model", max_tokens=99, messages=HELLO, stop_sequences=["你好"])
    check(stopped.stop_reason == "stop_sequence" and stopped.stop_sequence == "你好", f"stop_sequences: {stopped}")

    counted = client.messages.count_tokens(model="fake-model", messages=HELLO, system="Be brief.")
    check(counted.input_tokens == whole.usage.input_tokens, f"count_tokens: {counted}")

    called = client.messages.create(model="fake-model", max_tokens=1000, messages=HELLO, tools=[WEATHER],
                                    tool_choice={"type": "tool", "name": "get_weather"})
    check(called.stop_reason == "tool_use", f"stop_reason: {called}")
    use = called.content[-1]
    check(use.type == "tool_use" and use.name == "get_weather", f"tool_use: {use}")
    check(use.input["city"] in ("Ulm", "Bonn") and isinstance(use.input["days"], int), f"input: {use.input}")
    with client.messages.stream(model="fake-model", max_tokens=1000, messages=HELLO, tools=[WEATHER],
                                tool_choice={"type": "any"}) as stream:
        streamed = stream.get_final_message()
    check(streamed.content[-1].input == use.input, f"streamed call: {streamed}")

    again = client.messages.create(model="fake-model", max_tokens=1000, tools=[WEATHER], messages=HELLO + [
        {"role": "assistant", "content": [{"type": "text", "text": "Let me see."},
                                          {"type": "tool_use", "id": use.id, "name": use.name, "input": use.input}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": use.id, "content": "sunny"},
                                     {"type": "text", "text": "And?"}]}])
    check(again.content[0].text == text, f"after a tool's result: {again}")

    for kind, parameters in [
        (anthropic.NotFoundError, {"model": "claude-9", "messages": HELLO}),
        (anthropic.BadRequestError, {"model": "fake-model", "messages": []}),
        (anthropic.BadRequestError, {"model": "fake-model", "messages": [{"role": "user", "content": [
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": ""}}]}]}),
    ]:
        try:
            client.messages.create(max_tokens=5, **parameters)
        except kind as error:
            check(error.body["error"]["message"], f"{kind.__name__} has a message")
        else:
            check(False, f"{kind.__name__} is raised for {str(parameters)[:80]}")


with_server(everything)
