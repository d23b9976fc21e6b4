// SPDX-License-Identifier: Apache-2.0
// TeX in Markdown: $..$ and \(..\) in a line, $$..$$ and \[..\] as a block. What is found stands as text in
// <span class="math"> until KaTeX sets it.
import type { MarkdownIt } from "markdown-it";

const pairs = [
  { open: "$$", close: "$$", display: true },
  { open: "\\[", close: "\\]", display: true },
  { open: "\\(", close: "\\)", display: false },
  { open: "$", close: "$", display: false },
] as const;

/** A dollar is often just money: the opening one touches what follows, the closing one what precedes and no digit. */
function isMoney(source: string, start: number, end: number): boolean {
  const inner = source.slice(start + 1, end);
  return /^\s|\s$/.test(inner) || /[0-9]/.test(source[end + 1] ?? "");
}

function closing(source: string, close: string, from: number, max: number): number {
  for (let at = source.indexOf(close, from); at >= 0 && at < max; at = source.indexOf(close, at + 1)) {
    let backslashes = 0;
    while (source[at - 1 - backslashes] === "\\") ++backslashes;
    if (backslashes % 2 === 0) return at;
  }
  return -1;
}

export function math(markdown: MarkdownIt): void {
  const html = (tex: string, display: boolean) =>
    `<span class="math" data-display="${display}">${markdown.utils.escapeHtml(tex.trim())}</span>`;

  markdown.inline.ruler.before("escape", "math", (state, silent) => {
    const pair = pairs.find((one) => state.src.startsWith(one.open, state.pos));
    if (!pair) return false;
    const start = state.pos + pair.open.length;
    const end = closing(state.src, pair.close, start, state.posMax);
    if (end <= start || state.src.slice(start, end).trim() === "") return false;
    if (pair.open === "$" && isMoney(state.src, state.pos, end)) return false;
    if (!silent) {
      const token = state.push("math", "span", 0);
      token.content = state.src.slice(start, end);
      token.meta = { display: pair.display };
    }
    state.pos = end + pair.close.length;
    return true;
  });

  markdown.block.ruler.before(
    "fence",
    "math_block",
    (state, startLine, endLine, silent) => {
      const first = state.src.slice(state.bMarks[startLine]! + state.tShift[startLine]!, state.eMarks[startLine]!);
      const pair = pairs.find((one) => one.display && first.startsWith(one.open));
      if (!pair || state.sCount[startLine]! - state.blkIndent >= 4) return false;
      const lines: string[] = [];
      for (let line = startLine; line < endLine; ++line) {
        const text = line === startLine ? first.slice(pair.open.length) : state.getLines(line, line + 1, state.tShift[startLine]!, false);
        const end = closing(text, pair.close, 0, text.length);
        if (end < 0) {
          lines.push(text);
          continue;
        }
        if (text.slice(end + pair.close.length).trim() !== "") return false; // goes on as a line of text
        if (silent) return true;
        lines.push(text.slice(0, end));
        const token = state.push("math_block", "p", 0);
        token.content = lines.join("\n");
        token.map = [startLine, line + 1];
        state.line = line + 1;
        return true;
      }
      return false; // not closed yet
    },
    { alt: ["paragraph", "reference", "blockquote", "list"] },
  );

  markdown.renderer.rules.math = (tokens, index) => html(tokens[index]!.content, tokens[index]!.meta?.display === true);
  markdown.renderer.rules.math_block = (tokens, index) => `<p>${html(tokens[index]!.content, true)}</p>`;
}
