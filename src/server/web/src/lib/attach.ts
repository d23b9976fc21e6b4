// SPDX-License-Identifier: Apache-2.0
// Files as text beside a message.
import type { Attachment } from "./chat";
import { bytes, t } from "./i18n.svelte";

export const fileBytesMax = 512_000;
export const messageBytesMax = 1_500_000;

/** The text of a file, or why there is none: it must be UTF-8 (or UTF-16 with its mark) without control bytes. */
export function textOf(content: Uint8Array): string | null {
  const mark = content[0] === 0xff && content[1] === 0xfe ? "utf-16le" : content[0] === 0xfe && content[1] === 0xff ? "utf-16be" : "utf-8";
  try {
    const text = new TextDecoder(mark, { fatal: true }).decode(content);
    return /[\u0000-\u0008\u000e-\u001a\u001c-\u001f]/.test(text) ? null : text.replace(/\r\n?/g, "\n");
  } catch {
    return null;
  }
}

/** The attachment, or a sentence that says why it cannot be one. */
export async function readAttachment(file: File, others: Attachment[]): Promise<Attachment | string> {
  if (file.size > fileBytesMax) return t("fileTooLarge", { name: file.name, size: bytes(file.size), max: bytes(fileBytesMax) });
  if (others.reduce((sum, one) => sum + one.size, file.size) > messageBytesMax) return t("filesTooLarge", { max: bytes(messageBytesMax) });
  const text = textOf(new Uint8Array(await file.arrayBuffer()));
  if (text === null) return t("fileNotText", { name: file.name });
  return { name: file.name, size: file.size, text };
}
