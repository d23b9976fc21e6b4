// SPDX-License-Identifier: Apache-2.0
// A chat is a tree of messages: an edited question or another answer is a sibling, nothing is overwritten. What is
// shown is one path, from the root to the chat's leaf.

export interface Attachment {
  name: string;
  size: number; // bytes of the file
  text: string;
}

/** How an answer ended; "running" in a stored answer means that the page went away before its end. */
export type Finish = "running" | "stop" | "length" | "stopped" | "error";

export interface Stats {
  promptTokens: number;
  answerTokens: number;
  cachedTokens: number;
  firstTokenMs: number;
  tokensPerSecond: number;
}

export interface Message {
  id: string;
  parent: string | null;
  role: "user" | "assistant";
  content: string;
  created: number; // ms since the epoch
  attachments?: Attachment[];
  reasoning?: string;
  thinkingMs?: number;
  model?: string;
  finish?: Finish;
  error?: string;
  stats?: Stats;
}

export interface ChatSettings {
  model: string; // "": the server's first
  system: string;
  temperature: number | null; // null: the server's default, here and below
  topP: number | null;
  minP: number | null;
  maxTokens: number | null;
  seed: number | null;
  presencePenalty: number | null;
  frequencyPenalty: number | null;
  thinking: "auto" | "on" | "off";
  thinkingBudget: number | null;
}

export const defaultSettings: ChatSettings = {
  model: "",
  system: "",
  temperature: null,
  topP: null,
  minP: null,
  maxTokens: null,
  seed: null,
  presencePenalty: null,
  frequencyPenalty: null,
  thinking: "auto",
  thinkingBudget: null,
};

export interface ChatHead {
  id: string;
  title: string;
  created: number;
  updated: number;
  found?: string; // where a search matched
}

export interface Chat extends ChatHead {
  leaf: string | null;
  settings: ChatSettings;
  messages: Record<string, Message>;
}

export function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Root to leaf. A message whose parent is missing counts as a root, and circles end. */
export function pathTo(messages: Record<string, Message>, leaf: string | null): Message[] {
  const path: Message[] = [];
  const seen = new Set<string>();
  for (let id = leaf; id !== null && !seen.has(id); ) {
    const message = messages[id];
    if (!message) break;
    seen.add(id);
    path.push(message);
    id = message.parent;
  }
  return path.reverse();
}

/** The versions of a message, itself among them, the oldest first. */
export function siblings(messages: Record<string, Message>, of: Message): Message[] {
  return Object.values(messages)
    .filter((one) => one.parent === of.parent && one.role === of.role)
    .sort((a, b) => a.created - b.created || (a.id < b.id ? -1 : 1));
}

/** All messages' versions at once: sibling groups by parent and role, each the oldest first. */
export function versions(messages: Record<string, Message>): Map<string, string[]> {
  const groups = new Map<string, Message[]>();
  for (const message of Object.values(messages)) {
    const key = `${message.parent ?? ""}/${message.role}`;
    const group = groups.get(key);
    if (group) group.push(message);
    else groups.set(key, [message]);
  }
  return new Map(
    [...groups].map(([key, group]) => [
      key,
      group.sort((a, b) => a.created - b.created || (a.id < b.id ? -1 : 1)).map((one) => one.id),
    ]),
  );
}

/** Where the newest branch below a message ends. */
export function newestLeaf(messages: Record<string, Message>, id: string): string {
  const children = new Map<string, Message>(); // the newest child of each
  for (const message of Object.values(messages)) {
    if (message.parent === null) continue;
    const known = children.get(message.parent);
    if (!known || message.created >= known.created) children.set(message.parent, message);
  }
  const seen = new Set<string>();
  let at = id;
  for (let next = children.get(at); next && !seen.has(next.id); next = children.get(at)) {
    seen.add(next.id);
    at = next.id;
  }
  return at;
}

export function titleOf(text: string): string {
  const line = text.trim().split("\n", 1)[0]!.replace(/^#+\s*/, "").replace(/\s+/g, " ");
  const letters = Array.from(line);
  return letters.length > 60 ? letters.slice(0, 59).join("") + "…" : line;
}

/** What the model reads of a user's message: its files first, each fenced by more backticks than it holds. */
export function promptText(message: Message): string {
  if (!message.attachments?.length) return message.content;
  const files = message.attachments.map((file) => {
    const longest = Math.max(2, ...Array.from(file.text.matchAll(/`+/g), (run) => run[0].length));
    const fence = "`".repeat(longest + 1);
    return `${file.name}\n${fence}\n${file.text.replace(/\n$/, "")}\n${fence}`;
  });
  return [...files, message.content].filter((part) => part !== "").join("\n\n");
}
