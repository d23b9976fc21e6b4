// SPDX-License-Identifier: Apache-2.0
import { expect, test } from "vitest";

import { type Chat, defaultSettings, pathTo } from "../src/lib/chat";
import { readChats, toJson, toMarkdown } from "../src/lib/convert";

const chat: Chat = {
  id: "c",
  title: "Rivers",
  created: 1e12,
  updated: 2e12,
  leaf: "a",
  settings: { ...defaultSettings, system: "Be brief." },
  messages: {
    q: { id: "q", parent: null, role: "user", content: "Name one.", created: 1e12, attachments: [{ name: "x.txt", size: 3, text: "a`b" }] },
    a: { id: "a", parent: "q", role: "assistant", content: "Rhine", reasoning: "hm", created: 1e12 + 1, finish: "running" },
  },
};
const said = (one: Chat) => pathTo(one.messages, one.leaf).map((message) => `${message.role}: ${message.content}`);

test("what was exported comes back under new names", () => {
  const [back] = readChats(JSON.parse(toJson([chat])));
  expect(back!.id).not.toBe("c");
  expect(back!.title).toBe("Rivers");
  expect(back!.settings.system).toBe("Be brief.");
  expect(said(back!)).toEqual(["user: Name one.", "assistant: Rhine"]);
  const [question, answer] = pathTo(back!.messages, back!.leaf);
  expect(question!.attachments).toEqual(chat.messages.q!.attachments);
  expect(answer).toMatchObject({ reasoning: "hm", finish: "stopped" });
  expect(question!.id).not.toBe("q");
});

test("Markdown has the path that is shown, files and thoughts", () => {
  expect(toMarkdown(chat, { you: "You", thinking: "Thinking" })).toBe(
    "# Rivers\n\n> Be brief.\n\n## You\n\n**x.txt**\n\n```\na`b\n```\n\nName one.\n\n## assistant\n\n" +
      "<details><summary>Thinking</summary>\n\nhm\n\n</details>\n\nRhine\n",
  );
});

test("ChatGPT's export: nodes without text are skipped over", () => {
  const node = (id: string, parent: string | null, role: string, parts: unknown[]) => ({ id, parent, message: { author: { role }, content: { parts }, create_time: 1700000000.5 } });
  const mapping = { root: { id: "root", parent: null, message: null }, s: node("s", "root", "system", [""]), q: node("q", "s", "user", ["Hi"]), t: node("t", "q", "tool", ["x"]), a: node("a", "t", "assistant", [{ image: 1 }, "Hello"]) };
  const [one] = readChats([{ title: "T", create_time: 1700000000, current_node: "a", mapping }]);
  expect(said(one!)).toEqual(["user: Hi", "assistant: Hello"]);
  expect(one!.created).toBe(1700000000000);
});

test("Open WebUI's export", () => {
  const messages = { q: { id: "q", parentId: null, role: "user", content: "Hi", timestamp: 1700000000 }, a: { id: "a", parentId: "q", role: "assistant", content: "Hello", model: "m" } };
  const [one] = readChats([{ title: "T", chat: { history: { messages, currentId: "a" } } }]);
  expect(said(one!)).toEqual(["user: Hi", "assistant: Hello"]);
});

test("what is no chat gives none", () => {
  for (const json of [null, 3, "x", [], {}, { chats: [{}] }, [{ mapping: { a: null } }], [{ chat: { history: { messages: [1] } } }]]) expect(readChats(json)).toEqual([]);
});
