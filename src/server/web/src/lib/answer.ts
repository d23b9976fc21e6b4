// SPDX-License-Identifier: Apache-2.0
// One answer of a model, streamed.
import { ApiFailure, request } from "./api";
import type { ChatSettings, Message } from "./chat";
import { promptText } from "./chat";
import { EventSplitter, type QueueNews, readComment } from "./sse";

export interface AnswerEvents {
  id(id: string): void;
  queue(news: QueueNews): void;
  reasoning(text: string): void;
  content(text: string): void;
  finish(reason: string): void;
  usage(promptTokens: number, answerTokens: number, cachedTokens: number): void;
}

/** The body of a chat completion. `begun`: an answer to go on with, as if it had never stopped. */
export function requestBody(settings: ChatSettings, path: Message[], begun?: Message): Record<string, unknown> {
  const messages: Record<string, unknown>[] = [];
  if (settings.system.trim() !== "") messages.push({ role: "system", content: settings.system });
  for (const message of path) {
    if (message.role === "user") messages.push({ role: "user", content: promptText(message) });
    // A model is not shown what it thought before: that is what it was taught with.
    else if (message.content !== "") messages.push({ role: "assistant", content: message.content });
  }
  if (begun) {
    const last: Record<string, unknown> = { role: "assistant", content: begun.content, prefix: true };
    if (begun.reasoning) last.reasoning_content = begun.reasoning;
    messages.push(last);
  }
  const body: Record<string, unknown> = { messages, stream: true, stream_options: { include_usage: true } };
  const optional: [string, unknown][] = [
    ["model", settings.model || null],
    ["temperature", settings.temperature],
    ["top_p", settings.topP],
    ["min_p", settings.minP],
    ["max_tokens", settings.maxTokens],
    ["seed", settings.seed],
    ["presence_penalty", settings.presencePenalty],
    ["frequency_penalty", settings.frequencyPenalty],
    ["thinking_budget", settings.thinkingBudget],
    ["thinking", settings.thinking === "auto" ? null : { type: settings.thinking === "on" ? "enabled" : "disabled" }],
  ];
  for (const [name, value] of optional) if (value !== null) body[name] = value;
  return body;
}

interface Chunk {
  id?: string;
  error?: { message: string; code?: string };
  usage?: { prompt_tokens: number; completion_tokens: number; prompt_tokens_details?: { cached_tokens?: number } } | null;
  choices?: { delta: { content?: string | null; reasoning_content?: string | null }; finish_reason: string | null }[];
}

/** Resolves when the answer has ended; throws ApiFailure or, when stopped by `signal`, AbortError. */
export async function streamAnswer(body: Record<string, unknown>, signal: AbortSignal, events: AnswerEvents): Promise<void> {
  const response = await request("/v1/chat/completions", { method: "POST", body: JSON.stringify(body), signal });
  let done = false;
  let named = false;
  const splitter = new EventSplitter({
    comment(text) {
      const news = readComment(text);
      if (news) events.queue(news);
    },
    data(text) {
      if (text === "[DONE]") {
        done = true;
        return;
      }
      const chunk = JSON.parse(text) as Chunk;
      if (chunk.error) throw new ApiFailure(500, chunk.error.code ?? "", chunk.error.message);
      if (chunk.id && !named) {
        named = true;
        events.id(chunk.id);
      }
      if (chunk.usage) {
        const { prompt_tokens, completion_tokens, prompt_tokens_details } = chunk.usage;
        events.usage(prompt_tokens, completion_tokens, prompt_tokens_details?.cached_tokens ?? 0);
      }
      const choice = chunk.choices?.[0];
      if (!choice) return;
      if (choice.delta.reasoning_content) events.reasoning(choice.delta.reasoning_content);
      if (choice.delta.content) events.content(choice.delta.content);
      if (choice.finish_reason) events.finish(choice.finish_reason);
    },
  });
  const reader = response.body!.getReader();
  const decoder = new TextDecoder();
  try {
    for (;;) {
      const { value, done: end } = await reader.read();
      if (end) break;
      splitter.push(decoder.decode(value, { stream: true }));
    }
  } catch (problem) {
    if (problem instanceof ApiFailure || (problem instanceof DOMException && problem.name === "AbortError")) throw problem;
    throw new ApiFailure(0, "connection_lost", String(problem));
  }
  if (!done) throw new ApiFailure(0, "connection_lost", "the stream ended early");
}
