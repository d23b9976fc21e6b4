// SPDX-License-Identifier: Apache-2.0
// Chats out of the page and into it.
import type { Chat } from "./chat";
import { readChats, toJson, toMarkdown } from "./convert";
import { t } from "./i18n.svelte";
import { session } from "./session.svelte";

function download(name: string, type: string, text: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function fileName(title: string, ending: string): string {
  return `${title.replace(/[\\/:*?"<>|\u0000-\u001f]+/g, " ").trim().slice(0, 80) || "chat"}.${ending}`;
}

export async function exportChat(id: string, form: "markdown" | "json"): Promise<void> {
  const chat = await session.load(id);
  if (form === "markdown") download(fileName(chat.title, "md"), "text/markdown", toMarkdown(chat, { you: t("you"), thinking: t("thinking") }));
  else download(fileName(chat.title, "json"), "application/json", toJson([chat]));
}

export async function exportAll(): Promise<void> {
  const chats: Chat[] = [];
  for (const head of session.heads) chats.push(await session.load(head.id));
  download(`deepwell-${new Date().toISOString().slice(0, 10)}.json`, "application/json", toJson(chats));
}

export async function importFiles(files: File[]): Promise<void> {
  let count = 0;
  for (const file of files) {
    try {
      const chats = readChats(JSON.parse(await file.text()));
      if (chats.length === 0) throw new Error(t("importNoChats"));
      await session.add(chats);
      count += chats.length;
      if (chats.length === 1) location.hash = `#/c/${chats[0]!.id}`;
    } catch (problem) {
      const reason = problem instanceof Error ? problem.message : String(problem);
      return session.say(t("importFailed", { name: file.name, reason }));
    }
  }
  session.say(t("imported", { n: count }));
}
