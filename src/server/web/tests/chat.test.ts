// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from "vitest";

import { requestBody } from "../src/lib/answer";
import { defaultSettings, type Message, newestLeaf, pathTo, promptText, titleOf, versions } from "../src/lib/chat";

function message(id: string, parent: string | null, role: Message["role"], created: number, content = id): Message {
  return { id, parent, role, created, content };
}
// A question with two answers, the second of which was asked on in two ways.
const tree = Object.fromEntries(
  [
    message("q", null, "user", 1),
    message("a1", "q", "assistant", 2),
    message("a2", "q", "assistant", 3),
    message("e1", "a2", "user", 4),
    message("e2", "a2", "user", 6),
    message("b1", "e1", "assistant", 5),
  ].map((one) => [one.id, one]),
);

describe("the tree of a chat", () => {
  test("a path leads from the root to the leaf", () => {
    expect(pathTo(tree, "b1").map((one) => one.id)).toEqual(["q", "a2", "e1", "b1"]);
    expect(pathTo(tree, null)).toEqual([]);
  });
  test("a missing parent is a root, and a circle ends", () => {
    expect(pathTo({ x: message("x", "gone", "user", 1) }, "x").map((one) => one.id)).toEqual(["x"]);
    const circle = { x: message("x", "y", "user", 1), y: message("y", "x", "user", 2) };
    expect(pathTo(circle, "x")).toHaveLength(2);
    expect(["x", "y"]).toContain(newestLeaf(circle, "x"));
  });
  test("versions are those of one parent, the oldest first", () => {
    expect(versions(tree).get("q/assistant")).toEqual(["a1", "a2"]);
    expect(versions(tree).get("a2/user")).toEqual(["e1", "e2"]);
  });
  test("a version opens at its newest end", () => {
    expect(newestLeaf(tree, "q")).toBe("e2");
    expect(newestLeaf(tree, "e1")).toBe("b1");
    expect(newestLeaf(tree, "a1")).toBe("a1");
  });
});

describe("what the model reads", () => {
  const file = { name: "a.md", size: 9, text: "```js\n1\n```\n" };
  test("files come first, fenced by more than they hold", () => {
    expect(promptText({ ...message("q", null, "user", 1, "Why?"), attachments: [file] })).toBe("a.md\n````\n```js\n1\n```\n````\n\nWhy?");
  });
  test("thoughts are not shown again, empty answers are left out", () => {
    const path = [tree.q!, { ...tree.a1!, reasoning: "hm" }, { ...tree.a2!, content: "" }];
    expect(requestBody({ ...defaultSettings, system: " ", temperature: 0 }, path)).toEqual({
      messages: [
        { role: "user", content: "q" },
        { role: "assistant", content: "a1" },
      ],
      stream: true,
      stream_options: { include_usage: true },
      temperature: 0,
    });
  });
  test("an answer that was begun goes on", () => {
    const body = requestBody({ ...defaultSettings, thinking: "off" }, [tree.q!], { ...tree.a1!, reasoning: "hm" });
    expect(body.messages).toEqual([
      { role: "user", content: "q" },
      { role: "assistant", content: "a1", reasoning_content: "hm", prefix: true },
    ]);
    expect(body.thinking).toEqual({ type: "disabled" });
  });
});

test("a title is a short first line, cut between characters", () => {
  expect(titleOf("  # Hello\nworld")).toBe("Hello");
  expect(titleOf("🐳".repeat(80))).toBe("🐳".repeat(59) + "…");
});
