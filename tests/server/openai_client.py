# SPDX-License-Identifier: Apache-2.0
"""Goal: the official OpenAI client works against the server unmodified.
Method: the real server over a scripted engine (its program is argv[1]); every call parses into typed objects."""
import json
import time

from client_support import check, skip, with_server

try:
    import openai
except ImportError as missing:
    skip(missing)

PERSON = {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
          "required": ["name", "age"], "additionalProperties": False}
WEATHER = {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"enum": ["Ulm", "Bonn"]}},
                                                 "required": ["city"], "additionalProperties": False}}


def main(port):
    client = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none", max_retries=0)
    everything(client)
    structured(client)
    tools(client)
    responses(client)
    batches(client)


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
        (openai.BadRequestError, {"model": "fake-model", "messages": hello, "response_format": {
            "type": "json_schema", "json_schema": {"name": "x", "schema": {"not": {}}}}}),
        (openai.BadRequestError, {"model": "fake-model", "messages": [{"role": "user", "content": "x" * 5000}]}),
    ]:
        try:
            client.chat.completions.create(**parameters)
        except kind as error:
            check(error.body and error.body["message"], f"{kind.__name__} has a message")
        else:
            check(False, f"{kind.__name__} is raised for {str(parameters)[:80]}")



def structured(client):
    hello = [{"role": "user", "content": "Hello"}]
    formats = [{"type": "json_object"}, {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON}}]
    for wanted in formats:
        made = client.chat.completions.create(model="fake-model", messages=hello, response_format=wanted)
        check(isinstance(json.loads(made.choices[0].message.content), dict), f"{wanted}: {made}")
    check(set(json.loads(made.choices[0].message.content)) == {"name", "age"}, f"schema: {made}")
    for extra, fits in [({"guided_regex": "[0-9]{3}"}, str.isdigit), ({"guided_choice": ["yes", "no"]}, ("yes", "no").__contains__),
                        ({"guided_grammar": 'start: "a" "b"+'}, lambda text: text.startswith("ab"))]:
        made = client.chat.completions.create(model="fake-model", messages=hello, extra_body=extra, n=2)
        check(all(fits(c.message.content) for c in made.choices), f"{extra}: {made}")
    try:
        client.chat.completions.create(model="fake-model", messages=hello, response_format={
            "type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "array", "uniqueItems": True}}})
    except openai.BadRequestError as error:
        check("uniqueItems" in error.body["message"], f"the keyword is named: {error}")
        check(error.body["param"] == "response_format.json_schema.schema", f"the field is named: {error.body}")
    else:
        check(False, "a schema that cannot be honoured is refused")


def tools(client):
    hello = [{"role": "user", "content": "Hello"}]
    offered = [{"type": "function", "function": WEATHER}]
    for choice in ("required", {"type": "function", "function": {"name": "get_weather"}}):
        made = client.chat.completions.create(model="fake-model", messages=hello, tools=offered, tool_choice=choice,
                                              parallel_tool_calls=False)
        check(made.choices[0].finish_reason == "tool_calls", f"finish_reason: {made}")
        calls = made.choices[0].message.tool_calls
        check(len(calls) == 1 and calls[0].function.name == "get_weather", f"calls: {calls}")
        check(json.loads(calls[0].function.arguments)["city"] in ("Ulm", "Bonn"), f"arguments: {calls}")
    arguments = ""
    for chunk in client.chat.completions.create(model="fake-model", messages=hello, tools=offered, stream=True,
                                                tool_choice="required", parallel_tool_calls=False):
        for delta in chunk.choices[0].delta.tool_calls or []:
            arguments += delta.function.arguments or ""
    check(json.loads(arguments) == json.loads(calls[0].function.arguments), f"streamed: {arguments}")


def responses(client):
    first = client.responses.create(model="fake-model", input="Hello", instructions="Be brief.")
    check(first.status == "completed" and first.output_text.startswith("Hello world!"), f"response: {first}")
    second = client.responses.create(model="fake-model", input="And?", previous_response_id=first.id)
    check(second.usage.input_tokens > first.usage.input_tokens, "a response goes on from another")
    check(client.responses.retrieve(first.id).output_text == first.output_text, "retrieve")
    client.responses.delete(first.id)
    unkept = client.responses.create(model="fake-model", input="Hello", store=False)
    for gone in (first.id, unkept.id):
        try:
            client.responses.retrieve(gone)
        except openai.NotFoundError:
            continue
        check(False, "what was deleted, or never kept, is not found")
    kinds, text = [], ""
    for event in client.responses.create(model="fake-model", input=[{"role": "user", "content": "Hello"}], stream=True):
        kinds.append(event.type)
        text += event.delta if event.type == "response.output_text.delta" else ""
    check(text == first.output_text, "streamed text")
    check(kinds[:2] == ["response.created", "response.in_progress"] and kinds[-1] == "response.completed", f"{kinds}")
    with client.responses.stream(model="fake-model", input="Hello") as stream:
        check(stream.get_final_response().output_text == first.output_text, "the client puts the pieces together")
    formed = client.responses.create(model="fake-model", input="Hello", text={
        "format": {"type": "json_schema", "name": "person", "schema": PERSON, "strict": True}})
    check(set(json.loads(formed.output_text)) == {"name", "age"}, f"text.format: {formed.output_text}")
    called = client.responses.create(model="fake-model", input="Hello", tools=[{"type": "function", **WEATHER}],
                                     tool_choice="required", parallel_tool_calls=False)
    call = called.output[-1]
    check(call.type == "function_call" and json.loads(call.arguments)["city"] in ("Ulm", "Bonn"), f"call: {called}")
    after = client.responses.create(model="fake-model", previous_response_id=called.id, input=[
        {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}])
    check(after.output_text == first.output_text, f"after a tool's result: {after}")
    cut = client.responses.create(model="fake-model", input="Hello", max_output_tokens=2)
    check(cut.status == "incomplete" and cut.incomplete_details.reason == "max_output_tokens", f"cut: {cut}")
    for bad in ({"tools": [{"type": "web_search"}]}, {"previous_response_id": "resp_none"}):
        try:
            client.responses.create(model="fake-model", input="Hello", **bad)
        except (openai.BadRequestError, openai.NotFoundError) as error:
            check(error.body["message"], "a refusal has a message")
        else:
            check(False, f"refused: {bad}")
    later = client.responses.create(model="fake-model", input="Hello", background=True)
    check(later.status in ("queued", "in_progress", "completed"), f"in the background: {later}")
    for _ in range(1200):
        if later.status == "completed":
            break
        time.sleep(0.05)
        later = client.responses.retrieve(later.id)
    check(later.output_text == first.output_text, f"answered in the background: {later}")



def batches(client):
    def line(number, **more):
        body = {"model": "fake-model", "messages": [{"role": "user", "content": "Hello"}], **more}
        return json.dumps({"custom_id": f"line-{number}", "method": "POST", "url": "/v1/chat/completions", "body": body})
    lines = "\n".join([line(1), line(2, max_tokens=2), line(3, model="nobody")])
    sent = client.files.create(file=("work.jsonl", lines.encode()), purpose="batch")
    check(sent.bytes == len(lines.encode()) and client.files.retrieve(sent.id).filename == "work.jsonl", f"file: {sent}")
    check(client.files.content(sent.id).text == lines, "files come back as they were")
    batch = client.batches.create(input_file_id=sent.id, endpoint="/v1/chat/completions", completion_window="24h",
                                  metadata={"who": "test"})
    for _ in range(1200):
        batch = client.batches.retrieve(batch.id)
        if batch.status == "completed":
            break
        time.sleep(0.05)
    check(batch.status == "completed", f"the batch ends: {batch}")
    counts = batch.request_counts
    check((counts.total, counts.completed, counts.failed) == (3, 2, 1), f"counts: {counts}")
    good = [json.loads(text) for text in client.files.content(batch.output_file_id).text.splitlines()]
    check([one["custom_id"] for one in good] == ["line-1", "line-2"], f"output: {good}")
    check(good[1]["response"]["body"]["choices"][0]["message"]["content"] == "Hello world", f"output: {good[1]}")
    bad = json.loads(client.files.content(batch.error_file_id).text)
    check(bad["response"]["status_code"] == 404, f"errors: {bad}")
    check([one.id for one in client.batches.list()] == [batch.id], "batches.list")
    check(client.batches.cancel(batch.id).status == "completed", "what is over cannot be cancelled")
    client.files.delete(sent.id)
    check(sent.id not in [one.id for one in client.files.list()], "a deleted file is gone")
    broken = client.files.create(file=("broken.jsonl", b'{"custom_id": 1}'), purpose="batch")
    try:
        client.batches.create(input_file_id=broken.id, endpoint="/v1/chat/completions", completion_window="24h")
    except openai.BadRequestError as error:
        check("line 1" in error.body["message"], f"the line is named: {error}")
    else:
        check(False, "a file that is no batch is refused")


with_server(main)
