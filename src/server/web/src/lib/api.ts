// SPDX-License-Identifier: Apache-2.0
// Calls to the server that the page came from.

/** A refusal or a failed connection (status 0). */
export class ApiFailure extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly retryAfterSeconds = 0,
  ) {
    super(message);
  }
}

const keyName = "deepwell.key";

export function apiKey(): string {
  try {
    return localStorage.getItem(keyName) ?? sessionStorage.getItem(keyName) ?? "";
  } catch {
    return "";
  }
}

export function setApiKey(key: string, remember: boolean): void {
  try {
    localStorage.removeItem(keyName);
    sessionStorage.removeItem(keyName);
    if (key) (remember ? localStorage : sessionStorage).setItem(keyName, key);
  } catch {
    // A private window keeps nothing; the key then serves until the next reload only if storage exists.
  }
}

export async function failureOf(response: Response): Promise<ApiFailure> {
  let message = `${response.status} ${response.statusText}`;
  let code = "";
  try {
    const error = (await response.json()).error;
    message = error.message ?? message;
    code = error.code ?? "";
  } catch {
    // Not JSON: something between us and the server answered.
  }
  return new ApiFailure(response.status, code, message, Number(response.headers.get("Retry-After") ?? 0));
}

export async function request(path: string, options: RequestInit = {}): Promise<Response> {
  const headers = new Headers(options.headers);
  if (options.body) headers.set("Content-Type", "application/json");
  const key = apiKey();
  if (key) headers.set("Authorization", `Bearer ${key}`);
  let response: Response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch (problem) {
    if (problem instanceof DOMException && problem.name === "AbortError") throw problem;
    throw new ApiFailure(0, "unreachable", String(problem));
  }
  if (!response.ok) throw await failureOf(response);
  return response;
}

export async function getJson<T>(path: string): Promise<T> {
  return (await request(path)).json() as Promise<T>;
}

export interface Health {
  status: "ok" | "loading" | "draining" | "stalled";
  running: number;
  waiting: number;
  models: string[];
  version: string;
}

/** What /health says, also while it says 503; null when nobody answers. */
export async function getHealth(): Promise<Health | null> {
  try {
    return (await (await fetch("/health", { cache: "no-store" })).json()) as Health;
  } catch {
    return null;
  }
}

export interface Model {
  id: string;
  root: string;
  max_model_len: number;
  meta: { architecture: string; parameters: number; weight_types: string; weight_bytes: number; chat: boolean; thinking?: boolean };
}

export async function getModels(): Promise<Model[]> {
  return (await getJson<{ data: Model[] }>("/v1/models")).data;
}

let offered: Promise<boolean> | null = null;

/** Whether this server can be told to stop thinking; asked once. */
export function offersAnswerNow(): Promise<boolean> {
  offered ??= fetch("/v1/requests/any/answer-now", { method: "OPTIONS" }).then(
    (reply) => reply.ok,
    () => false,
  );
  return offered;
}

/** Ends the thinking of an answer under way. */
export async function answerNow(id: string): Promise<void> {
  await request(`/v1/requests/${encodeURIComponent(id)}/answer-now`, { method: "POST" });
}
