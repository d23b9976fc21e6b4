// SPDX-License-Identifier: Apache-2.0
import { expect, test } from "vitest";

import { EventSplitter, readComment } from "../src/lib/sse";

const stream = ': queue position=2 eta=7s\n\ndata: {"a":1}\r\n\r\ndata: x\ndata: y\n\nevent: e\ndata:z\n\n:\n\ndata: cut';

test("events are the same whatever pieces they come in", () => {
  for (let size = 1; size <= stream.length; ++size) {
    const seen: string[] = [];
    const splitter = new EventSplitter({ data: (text) => seen.push(text), comment: (text) => seen.push(`#${text}`) });
    for (let at = 0; at < stream.length; at += size) splitter.push(stream.slice(at, at + size));
    expect(seen).toEqual(["#queue position=2 eta=7s", '{"a":1}', "x\ny", "z", "#"]);
  }
});

test("comments tell of the queue and of the prompt", () => {
  expect(readComment("queue position=3 eta=12s")).toEqual({ position: 3, etaSeconds: 12 });
  expect(readComment("prefill done=512 total=2048")).toEqual({ prefillDone: 512, prefillTotal: 2048 });
  expect(readComment("keep-alive")).toBeNull();
  expect(readComment("")).toBeNull();
});
