// SPDX-License-Identifier: Apache-2.0
// Where chats are kept: on the server where it has a folder for them, else in this browser.
import { ApiFailure, getJson, request } from "./api";
import type { Chat, ChatHead, Message } from "./chat";
import { defaultSettings } from "./chat";

/** What of a chat is new; messages replace their namesakes. */
export interface Change {
  title?: string;
  created?: number;
  updated?: number;
  leaf?: string | null;
  settings?: Chat["settings"];
  messages?: Message[];
}

export interface ChatStore {
  readonly kind: "server" | "browser";
  list(text: string): Promise<ChatHead[]>;
  load(id: string): Promise<Chat>;
  /** `leaving`: the page is being closed; what is not too large still arrives. */
  save(id: string, change: Change, leaving?: boolean): Promise<void>;
  remove(id: string): Promise<void>;
}

type State = Pick<Chat, "leaf" | "settings">;

function byId(messages: Message[]): Record<string, Message> {
  return Object.fromEntries(messages.map((message) => [message.id, message]));
}

class ServerStore implements ChatStore {
  readonly kind = "server";
  private last: Promise<unknown> = Promise.resolve(); // one after another: the later state must win
  private states = new Map<string, State>(); // a change of one half is sent with the other

  async list(text: string): Promise<ChatHead[]> {
    const query = text ? `?q=${encodeURIComponent(text)}` : "";
    return (await getJson<{ data: ChatHead[] }>(`/deepwell/chats${query}`)).data;
  }

  async load(id: string): Promise<Chat> {
    const found = await getJson<ChatHead & { state: Partial<State>; messages: Message[] }>(`/deepwell/chats/${id}`);
    const { state, messages, ...head } = found;
    const settings = { ...defaultSettings, ...state.settings };
    const leaf = state.leaf ?? null;
    this.states.set(id, { leaf, settings });
    return { ...head, leaf, settings, messages: byId(messages) };
  }

  async save(id: string, change: Change, leaving = false): Promise<void> {
    const { leaf, settings, ...rest } = change;
    const body: Record<string, unknown> = rest;
    if (leaf !== undefined || settings !== undefined) {
      const known = this.states.get(id);
      const state = { leaf: leaf ?? known?.leaf ?? null, settings: settings ?? known?.settings ?? defaultSettings };
      this.states.set(id, state);
      body.state = state;
    }
    const text = JSON.stringify(body);
    const send = () => request(`/deepwell/chats/${id}`, { method: "PATCH", body: text, keepalive: leaving && text.length < 20_000 });
    const sent = leaving ? send() : this.last.then(send);
    this.last = sent.catch(() => {});
    await sent;
  }

  async remove(id: string): Promise<void> {
    try {
      await request(`/deepwell/chats/${id}`, { method: "DELETE" });
    } catch (problem) {
      if (!(problem instanceof ApiFailure && problem.status === 404)) throw problem; // gone is gone
    }
  }
}

function result<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("the browser's database failed"));
  });
}

function finished(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = transaction.onerror = () => reject(transaction.error ?? new Error("the browser's database failed"));
  });
}

type StoredMessage = Message & { chat: string };

class BrowserStore implements ChatStore {
  readonly kind = "browser";
  private database: Promise<IDBDatabase>;

  constructor() {
    const opening = indexedDB.open("deepwell", 1);
    opening.onupgradeneeded = () => {
      opening.result.createObjectStore("chats", { keyPath: "id" });
      opening.result.createObjectStore("messages", { keyPath: ["chat", "id"] }).createIndex("chat", "chat");
    };
    this.database = result(opening);
  }

  async list(text: string): Promise<ChatHead[]> {
    const transaction = (await this.database).transaction(["chats", "messages"]);
    const heads = (await result(transaction.objectStore("chats").getAll())) as Chat[];
    heads.sort((a, b) => b.updated - a.updated);
    if (!text) return heads;
    const wanted = text.toLowerCase();
    const found = new Map<string, string>();
    for (const message of (await result(transaction.objectStore("messages").getAll())) as StoredMessage[]) {
      const at = found.has(message.chat) ? -1 : message.content.toLowerCase().indexOf(wanted);
      if (at >= 0) found.set(message.chat, message.content.slice(Math.max(0, at - 24), at + 96));
    }
    return heads
      .filter((head) => head.title.toLowerCase().includes(wanted) || found.has(head.id))
      .map((head) => ({ ...head, found: found.get(head.id) }));
  }

  async load(id: string): Promise<Chat> {
    const transaction = (await this.database).transaction(["chats", "messages"]);
    const head = (await result(transaction.objectStore("chats").get(id))) as Chat | undefined;
    if (!head) throw new ApiFailure(404, "not_found", `there is no chat '${id}' here`);
    const stored = (await result(transaction.objectStore("messages").index("chat").getAll(id))) as StoredMessage[];
    const messages = stored.map(({ chat: _chat, ...message }) => message);
    return { ...head, settings: { ...defaultSettings, ...head.settings }, messages: byId(messages) };
  }

  async save(id: string, change: Change): Promise<void> {
    const { messages, ...fields } = change;
    const transaction = (await this.database).transaction(["chats", "messages"], "readwrite");
    const done = finished(transaction);
    const chats = transaction.objectStore("chats");
    const known = await result(chats.get(id));
    chats.put({ title: "", created: 0, updated: 0, leaf: null, settings: defaultSettings, ...known, ...plain(fields), id });
    for (const message of messages ?? []) transaction.objectStore("messages").put({ ...plain(message), chat: id });
    await done;
  }

  async remove(id: string): Promise<void> {
    const transaction = (await this.database).transaction(["chats", "messages"], "readwrite");
    const done = finished(transaction);
    transaction.objectStore("chats").delete(id);
    const messages = transaction.objectStore("messages");
    for (const key of await result(messages.index("chat").getAllKeys(id))) messages.delete(key);
    await done;
  }
}

/** Without the proxies of reactive state, which a database cannot clone; undefined fields are left out. */
function plain<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}

/** Asks the server whether it keeps chats. Throws what else it refuses with, a missing key above all. */
export async function openStore(): Promise<{ store: ChatStore; heads: ChatHead[] }> {
  const server = new ServerStore();
  try {
    return { store: server, heads: await server.list("") };
  } catch (problem) {
    if (!(problem instanceof ApiFailure) || (problem.status !== 501 && problem.status !== 404)) throw problem;
    const store = new BrowserStore();
    return { store, heads: await store.list("") };
  }
}
