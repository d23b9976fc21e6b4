// SPDX-License-Identifier: Apache-2.0
// Chats as files: this page's own form, Markdown, and what other programs export.
import { type Chat, defaultSettings, type Message, newId, newestLeaf, pathTo, titleOf } from "./chat";

export interface Export {
  deepwell_chats: 1;
  chats: Chat[];
}

/** The path that is shown. `words`: what the reader and a thought are called. */
export function toMarkdown(chat: Chat, words: { you: string; thinking: string }): string {
  const parts = [`# ${chat.title}`];
  if (chat.settings.system.trim()) parts.push(`> ${chat.settings.system.trim().replace(/\n/g, "\n> ")}`);
  for (const message of pathTo(chat.messages, chat.leaf)) {
    parts.push(`## ${message.role === "user" ? words.you : message.model || "assistant"}`);
    for (const file of message.attachments ?? []) {
      const fence = "`".repeat(Math.max(3, ...Array.from(file.text.matchAll(/`+/g), (run) => run[0].length + 1)));
      parts.push(`**${file.name}**\n\n${fence}\n${file.text.replace(/\n$/, "")}\n${fence}`);
    }
    if (message.reasoning) parts.push(`<details><summary>${words.thinking}</summary>\n\n${message.reasoning.trim()}\n\n</details>`);
    if (message.content) parts.push(message.content);
  }
  return parts.join("\n\n") + "\n";
}

export function toJson(chats: Chat[]): string {
  return JSON.stringify({ deepwell_chats: 1, chats } satisfies Export, null, 1);
}

type Loose = Record<string, unknown>;
const isObject = (value: unknown): value is Loose => typeof value === "object" && value !== null && !Array.isArray(value);
const text = (value: unknown): string => (typeof value === "string" ? value : "");
const ms = (value: unknown): number => (typeof value === "number" && value > 0 ? Math.round(value < 1e11 ? value * 1000 : value) : Date.now());

/** Chats in a file of this page's own or another program's; every id is made anew, so nothing is overwritten. */
export function readChats(json: unknown): Chat[] {
  if (isObject(json) && Array.isArray(json.chats)) return json.chats.filter(isObject).map(ownChat).filter((chat) => chat !== null);
  const list = Array.isArray(json) ? json : isObject(json) ? [json] : [];
  return list
    .filter(isObject)
    .map((one) => (isObject(one.mapping) ? mappedChat(one) : openWebUiChat(one)))
    .filter((chat) => chat !== null);
}

function build(title: string, created: number, messages: Message[], leaf: string, settings: Loose = {}): Chat | null {
  if (messages.length === 0) return null;
  const names = new Map(messages.map((message) => [message.id, newId()]));
  const renamed = messages.map((message) => ({ ...message, id: names.get(message.id)!, parent: names.get(message.parent ?? "") ?? null }));
  const byId = Object.fromEntries(renamed.map((message) => [message.id, message]));
  const updated = Math.max(...renamed.map((message) => message.created));
  const end = names.get(leaf) ?? newestLeaf(byId, renamed[0]!.id);
  const name = title || titleOf(renamed[0]!.content);
  return { id: newId(), title: name.slice(0, 200), created, updated, leaf: end, settings: { ...defaultSettings, ...settings }, messages: byId };
}

function ownChat(chat: Loose): Chat | null {
  if (!isObject(chat.messages)) return null;
  const messages = Object.values(chat.messages).filter(isObject).filter((one) => text(one.id) !== "" && (one.role === "user" || one.role === "assistant"));
  const clean = messages.map((one) => ({ ...one, content: text(one.content), created: ms(one.created), parent: text(one.parent) || null, finish: one.finish === "running" ? "stopped" : one.finish }) as Message);
  return build(text(chat.title), ms(chat.created), clean, text(chat.leaf), isObject(chat.settings) ? chat.settings : {});
}

/** ChatGPT's export: nodes of a tree, some of which hold no text for a reader. Those are skipped over. */
function mappedChat(chat: Loose): Chat | null {
  const nodes = chat.mapping as Record<string, Loose | undefined>;
  const messageOf = (node: Loose | undefined) => (isObject(node?.message) ? node.message : null);
  const said = (node: Loose | undefined): string => {
    const content = messageOf(node)?.content;
    return isObject(content) && Array.isArray(content.parts) ? content.parts.filter((part) => typeof part === "string").join("\n") : "";
  };
  const roleOf = (node: Loose | undefined): string => {
    const author = messageOf(node)?.author;
    return isObject(author) ? text(author.role) : "";
  };
  const counts = (node: Loose | undefined) => said(node).trim() !== "" && ["user", "assistant"].includes(roleOf(node));
  const nearest = (id: unknown): string | null => {
    let steps = 0;
    for (let at = text(id); at !== "" && steps < 100_000; at = text(nodes[at]?.parent), ++steps) if (counts(nodes[at])) return at;
    return null;
  };
  const messages: Message[] = [];
  for (const [id, node] of Object.entries(nodes)) {
    if (!counts(node)) continue;
    const role = roleOf(node) as Message["role"];
    messages.push({ id, parent: nearest(node!.parent), role, content: said(node), created: ms(messageOf(node)?.create_time) });
  }
  return build(text(chat.title), ms(chat.create_time), messages, nearest(chat.current_node) ?? "");
}

function openWebUiChat(outer: Loose): Chat | null {
  const chat = isObject(outer.chat) ? outer.chat : outer;
  const history = isObject(chat.history) ? chat.history : {};
  if (!isObject(history.messages)) return null;
  const messages = Object.values(history.messages)
    .filter(isObject)
    .filter((one) => text(one.id) !== "" && (one.role === "user" || one.role === "assistant"))
    .map((one): Message => ({ id: text(one.id), parent: text(one.parentId) || null, role: one.role as Message["role"], content: text(one.content), created: ms(one.timestamp), model: text(one.model) || undefined }));
  return build(text(outer.title) || text(chat.title), ms(outer.created_at), messages, text(history.currentId));
}
