// SPDX-License-Identifier: Apache-2.0
// What the page is doing: the chats, the open one, the answers under way.
import { SvelteMap } from "svelte/reactivity";

import { requestBody, streamAnswer } from "./answer";
import { ApiFailure, getHealth, getModels, type Health, type Model } from "./api";
import {
  type Attachment,
  type Chat,
  type ChatHead,
  type ChatSettings,
  type Message,
  newId,
  newestLeaf,
  pathTo,
  titleOf,
} from "./chat";
import { t } from "./i18n.svelte";
import { keepStartSettings, startSettings } from "./settings.svelte";
import type { QueueNews } from "./sse";
import { type Change, type ChatStore, openStore } from "./store";

const saveEveryMs = 3000;
const runningName = "deepwell.running"; // this tab's answers under way, so that a reload goes on with them

/** An answer under way. */
export class Run {
  queue = $state<QueueNews | null>(null);
  retryAt = $state(0); // ms; the server asked to come back then
  retryWhy = $state("");
  answerId = $state(""); // the server's name for the answer
  tokens = $state(0);
  readonly startedAt = performance.now();
  firstAt = $state(0);
  lastAt = $state(0);
  thinkingSince = $state(0);
  readonly controller = new AbortController();

  constructor(
    readonly chat: Chat,
    readonly message: Message,
  ) {}

  get tokensPerSecond(): number {
    return speed(this.tokens, this.lastAt - this.firstAt);
  }
}

/** Tokens per second; 0 where the time is too short to tell. */
function speed(tokens: number, ms: number): number {
  return tokens > 1 && ms > 100 ? ((tokens - 1) * 1000) / ms : 0;
}

function emptyChat(): Chat {
  return { id: "", title: "", created: 0, updated: 0, leaf: null, settings: startSettings(), messages: {} };
}

function runningHere(): string[] {
  try {
    return JSON.parse(sessionStorage.getItem(runningName) ?? "[]") as string[];
  } catch {
    return [];
  }
}

class Session {
  store = $state.raw<ChatStore | null>(null);
  heads = $state<ChatHead[]>([]);
  chat = $state<Chat>(emptyChat());
  runs = new SvelteMap<string, Run>(); // by chat
  health = $state.raw<Health | null | undefined>(undefined); // null: nobody answers
  models = $state.raw<Model[]>([]);
  needsKey = $state(false);
  keyRefused = $state(false);
  notice = $state("");

  path = $derived(pathTo(this.chat.messages, this.chat.leaf));
  run = $derived(this.runs.get(this.chat.id));
  model = $derived(this.models.find((one) => one.id === this.chat.settings.model) ?? this.models[0]);

  private noticeTimer = 0;
  private leaving = false;

  async start(): Promise<void> {
    // An answer that the browser breaks off because the page goes is not at its end: a reload goes on with it.
    addEventListener("beforeunload", () => {
      this.leaving = true;
      setTimeout(() => (this.leaving = false), 3000); // it stayed after all
    });
    addEventListener("pagehide", () => {
      this.leaving = true;
      for (const run of this.runs.values()) void this.saveMessage(run.chat, run.message, true).catch(() => {});
    });
    void this.watch();
    await this.connect();
  }

  /** Opens the store; asks for a key where the server wants one. Again after a key was given. */
  async connect(): Promise<boolean> {
    try {
      const { store, heads } = await openStore();
      this.store = store;
      this.heads = heads;
      this.needsKey = this.keyRefused = false;
      void this.learnModels();
      return true;
    } catch (problem) {
      if (problem instanceof ApiFailure && problem.status === 401) this.askForKey();
      else setTimeout(() => void this.connect().then((done) => done && this.follow()), 2000);
      return false;
    }
  }

  askForKey(): void {
    this.keyRefused = this.store !== null || this.needsKey;
    this.needsKey = true;
  }

  private async learnModels(): Promise<void> {
    try {
      this.models = await getModels();
    } catch {
      // The watch asks again.
    }
  }

  private async watch(): Promise<void> {
    for (;;) {
      if (!document.hidden) {
        this.health = await getHealth();
        const served = this.health?.status === "ok" ? this.health.models : [];
        const known = this.models.map((one) => one.id);
        if (!this.needsKey && this.store && served.toSorted().join("\n") !== known.toSorted().join("\n")) await this.learnModels();
      }
      await new Promise((resolve) => setTimeout(resolve, this.health?.status === "ok" ? 4000 : 1000));
    }
  }

  say(text: string): void {
    this.notice = text;
    clearTimeout(this.noticeTimer);
    this.noticeTimer = window.setTimeout(() => (this.notice = ""), 6000);
  }

  // Where the page is, in the address: "#/c/ID", "#/dashboard", "#/".

  place = $state(location.hash);

  follow(): void {
    this.place = location.hash;
    const id = /^#\/c\/([\w-]+)$/.exec(location.hash)?.[1] ?? "";
    if (id !== this.chat.id && location.hash !== "#/dashboard") void this.open(id);
  }

  private async open(id: string): Promise<void> {
    if (id === "") {
      this.chat = emptyChat();
      return;
    }
    const live = this.runs.get(id);
    if (live) {
      this.chat = live.chat;
      return;
    }
    if (!this.store) return;
    try {
      const chat = await this.store.load(id);
      if (location.hash !== `#/c/${id}`) return; // somebody was quicker
      this.chat = chat;
      this.resume();
    } catch (problem) {
      location.hash = "#/";
      this.report(problem);
    }
  }

  /** An answer that a reload of this tab cut off goes on where it was. */
  private resume(): void {
    const last = this.path.at(-1);
    if (last?.finish === "running" && runningHere().includes(last.id)) void this.goOn(last);
  }

  newChat(): void {
    this.chat = emptyChat();
    location.hash = "#/";
  }

  // Asking and answering.

  async send(text: string, attachments: Attachment[]): Promise<void> {
    await this.ask(this.chat, this.chat.leaf, text, attachments);
  }

  async edit(message: Message, text: string): Promise<void> {
    await this.ask(this.chat, message.parent, text, message.attachments ?? []);
  }

  private async ask(chat: Chat, parent: string | null, text: string, attachments: Attachment[]): Promise<void> {
    const now = Date.now();
    const question: Message = { id: newId(), parent, role: "user", content: text, created: now };
    if (attachments.length > 0) question.attachments = attachments;
    if (chat.id === "") {
      chat.id = newId();
      chat.created = now;
      chat.title = titleOf(text) || attachments[0]?.name || "";
      location.hash = `#/c/${chat.id}`;
    }
    chat.messages[question.id] = question;
    await this.answer(chat, question.id, [question]);
  }

  async regenerate(message: Message): Promise<void> {
    await this.answer(this.chat, message.parent!, []);
  }

  private async answer(chat: Chat, parent: string, unsaved: Message[]): Promise<void> {
    const id = newId();
    chat.messages[id] = { id, parent, role: "assistant", content: "", created: Date.now(), finish: "running" };
    chat.leaf = id;
    chat.updated = Date.now();
    const message = chat.messages[id]!; // the reactive one
    this.list_(chat);
    const { title, created, updated, leaf, settings } = chat;
    void this.save(chat, { title, created, updated, leaf, settings, messages: [...unsaved, message] });
    await this.generate(chat, message, false);
  }

  /** Goes on with an answer that stopped early; one of which nothing is there begins anew. */
  async goOn(message: Message): Promise<void> {
    const begun = message.content !== "";
    if (!begun) message.reasoning = undefined;
    message.finish = "running";
    message.error = undefined;
    await this.generate(this.chat, message, begun);
  }

  stop(): void {
    this.run?.controller.abort();
  }

  private async generate(chat: Chat, message: Message, goingOn: boolean): Promise<void> {
    const run = new Run(chat, message);
    this.runs.set(chat.id, run);
    this.markRunning(message.id, true);
    const path = pathTo(chat.messages, message.parent);
    // A model that is served no more gives way to the server's first.
    const model = this.models.some((one) => one.id === chat.settings.model) ? chat.settings.model : "";
    const body = requestBody({ ...chat.settings, model }, path, goingOn ? message : undefined);
    let content = "";
    let reasoning = "";
    let frame = 0;
    let savedAt = performance.now();
    let tokensBefore = goingOn ? (message.stats?.answerTokens ?? 0) : 0;
    const flush = () => {
      frame = 0;
      if (reasoning) message.reasoning = (message.reasoning ?? "") + reasoning;
      if (content) message.content += content;
      reasoning = content = "";
      if (performance.now() - savedAt > saveEveryMs) {
        savedAt = performance.now();
        void this.saveMessage(chat, message).catch(() => {});
      }
    };
    // A hidden page has no frames.
    const soon = () => (frame ||= document.hidden ? window.setTimeout(flush, 250) : requestAnimationFrame(flush));
    const token = () => {
      run.queue = null;
      run.lastAt = performance.now();
      if (run.firstAt === 0) run.firstAt = run.lastAt;
      ++run.tokens;
    };
    const thinkingEnds = () => {
      if (run.thinkingSince === 0) return;
      message.thinkingMs = (message.thinkingMs ?? 0) + performance.now() - run.thinkingSince;
      run.thinkingSince = 0;
    };
    const attempt = () =>
      streamAnswer(body, run.controller.signal, {
        id: (id) => (run.answerId = id),
        queue: (news) => (run.queue = { ...run.queue, ...news }),
        reasoning: (text) => {
          token();
          if (run.thinkingSince === 0) run.thinkingSince = run.firstAt;
          reasoning += text;
          soon();
        },
        content: (text) => {
          token();
          thinkingEnds();
          content += text;
          soon();
        },
        finish: (reason) => (message.finish = reason === "length" ? "length" : "stop"),
        usage: (promptTokens, answerTokens, cachedTokens) => {
          message.stats = {
            promptTokens,
            answerTokens: answerTokens + tokensBefore,
            cachedTokens,
            firstTokenMs: run.firstAt ? run.firstAt - run.startedAt : 0,
            tokensPerSecond: speed(answerTokens, run.lastAt - run.firstAt),
          };
        },
      });
    message.model = model || this.models[0]?.id || "";
    try {
      while (!(await this.attempted(run, attempt)));
    } catch (problem) {
      if (this.leaving) return;
      if (problem instanceof DOMException && problem.name === "AbortError") {
        message.finish = "stopped";
      } else {
        message.finish = "error";
        message.error = describe(problem);
        if (problem instanceof ApiFailure && problem.status === 401) this.askForKey();
      }
    }
    thinkingEnds();
    document.hidden ? clearTimeout(frame) : cancelAnimationFrame(frame);
    savedAt = performance.now();
    flush();
    if (message.finish === "running") message.finish = "stop";
    if (!message.stats && run.tokens > 0) {
      message.stats = {
        promptTokens: 0,
        answerTokens: run.tokens + tokensBefore,
        cachedTokens: 0,
        firstTokenMs: run.firstAt - run.startedAt,
        tokensPerSecond: run.tokensPerSecond,
      };
    }
    this.runs.delete(chat.id);
    this.markRunning(message.id, false);
    if (!this.isListed(chat)) return;
    chat.updated = Date.now();
    this.list_(chat);
    await this.save(chat, { updated: chat.updated, messages: [message] });
  }

  /** True when done; false after waiting as long as the server asked for. */
  private async attempted(run: Run, attempt: () => Promise<void>): Promise<boolean> {
    try {
      await attempt();
      return true;
    } catch (problem) {
      const mayWait = problem instanceof ApiFailure && (problem.status === 429 || problem.code === "loading");
      if (!mayWait || run.controller.signal.aborted) throw problem;
      const seconds = Math.max(1, problem.retryAfterSeconds);
      run.retryWhy = problem.code === "loading" ? "loading" : "queue";
      run.retryAt = Date.now() + seconds * 1000;
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(resolve, seconds * 1000);
        run.controller.signal.addEventListener("abort", () => {
          clearTimeout(timer);
          reject(new DOMException("", "AbortError"));
        });
      });
      run.retryAt = 0;
      return false;
    }
  }

  private markRunning(id: string, running: boolean): void {
    try {
      const others = runningHere().filter((one) => one !== id);
      sessionStorage.setItem(runningName, JSON.stringify(running ? [...others, id] : others));
    } catch {
      // Then a reload offers to continue instead of doing so.
    }
  }

  // Versions, names, settings.

  choose(id: string): void {
    this.chat.leaf = newestLeaf(this.chat.messages, id);
    void this.save(this.chat, { leaf: this.chat.leaf });
  }

  changeSettings(settings: ChatSettings): void {
    this.chat.settings = settings;
    keepStartSettings(settings);
    if (this.chat.id) void this.save(this.chat, { settings });
  }

  async rename(id: string, title: string): Promise<void> {
    const head = this.heads.find((one) => one.id === id);
    if (head) head.title = title;
    if (this.chat.id === id) this.chat.title = title;
    await this.guarded(async () => this.store?.save(id, { title }));
  }

  async remove(id: string): Promise<void> {
    this.runs.get(id)?.controller.abort();
    this.heads = this.heads.filter((one) => one.id !== id);
    if (this.chat.id === id) this.newChat();
    await this.guarded(async () => this.store?.remove(id));
  }

  async load(id: string): Promise<Chat> {
    return this.runs.get(id)?.chat ?? (this.chat.id === id ? this.chat : await this.store!.load(id));
  }

  async add(chats: Chat[]): Promise<void> {
    for (const { id, title, created, updated, leaf, settings, messages } of chats) {
      // In pieces: one request may not hold a very long chat.
      const all = Object.values(messages);
      await this.store!.save(id, { title, created, updated, leaf, settings });
      for (let i = 0; i < all.length; i += 100) await this.store!.save(id, { messages: all.slice(i, i + 100) });
    }
    this.heads = await this.store!.list("");
  }

  /** False once it was deleted, by which an answer under way may be surprised. */
  private isListed(chat: Chat): boolean {
    return this.heads.some((one) => one.id === chat.id);
  }

  /** The list's entry of a chat, made or moved to where its time puts it. */
  private list_(chat: Chat): void {
    const { id, title, created, updated } = chat;
    this.heads = [{ id, title, created, updated }, ...this.heads.filter((one) => one.id !== id)].sort(
      (a, b) => b.updated - a.updated,
    );
  }

  private async saveMessage(chat: Chat, message: Message, leaving = false): Promise<void> {
    if (this.isListed(chat)) await this.store?.save(chat.id, { messages: [message] }, leaving);
  }

  private async save(chat: Chat, change: Change): Promise<void> {
    if (!this.isListed(chat)) return;
    await this.guarded(async () => this.store?.save(chat.id, change));
  }

  private async guarded(work: () => Promise<void> | undefined): Promise<void> {
    try {
      await work();
    } catch (problem) {
      this.report(problem);
    }
  }

  private report(problem: unknown): void {
    if (problem instanceof ApiFailure && problem.status === 401) this.askForKey();
    else this.say(problem instanceof ApiFailure && problem.status === 404 ? problem.message : t("errStore", { reason: describe(problem) }));
  }
}

/** What went wrong, and what to do. */
export function describe(problem: unknown): string {
  if (!(problem instanceof ApiFailure)) return String(problem);
  if (problem.code === "connection_lost") return t("errLost");
  if (problem.status === 0) return t("errUnreachable");
  if (problem.status === 401) return t("errKey");
  if (problem.status === 413) return t("errTooLarge");
  if (problem.code === "model_not_found") return t("errModel");
  if (problem.code === "context_length_exceeded") return `${t("errContext")} (${problem.message})`;
  if (problem.code === "chats_full") return t("errFull");
  if (problem.code === "draining") return t("errDraining");
  return t("errOther", { reason: problem.message });
}

export const session = new Session();
