// SPDX-License-Identifier: Apache-2.0
// Markdown to safe HTML, block by block: while an answer grows only its last block changes.
import DOMPurify from "dompurify";
import MarkdownIt from "markdown-it";

import { math } from "./math";

const markdown = new MarkdownIt({ html: false, linkify: true, breaks: false }).use(math);

markdown.renderer.rules.link_open = (tokens, index, options, _env, self) => {
  tokens[index]!.attrSet("target", "_blank");
  tokens[index]!.attrSet("rel", "noopener noreferrer");
  return self.renderToken(tokens, index, options);
};
// Wide tables scroll by themselves.
markdown.renderer.rules.table_open = () => '<div class="table" tabindex="0"><table>';
markdown.renderer.rules.table_close = () => "</table></div>";
// Images would be fetched from elsewhere, which the page never does: a link says where it is.
markdown.renderer.rules.image = (tokens, index) => {
  const token = tokens[index]!;
  const link = markdown.utils.escapeHtml(String(token.attrGet("src") ?? ""));
  return `<a href="${link}" target="_blank" rel="noopener noreferrer">${markdown.utils.escapeHtml(token.content || link)}</a>`;
};

/** One piece of HTML for each top-level block; not yet purified. */
export function blocks(text: string): string[] {
  const env = {};
  const tokens = markdown.parse(text, env);
  const out: string[] = [];
  for (let start = 0, depth = 0, i = 0; i < tokens.length; ++i) {
    depth += tokens[i]!.nesting;
    if (depth > 0) continue;
    out.push(markdown.renderer.render(tokens.slice(start, i + 1), markdown.options, env));
    start = i + 1;
  }
  return out;
}

export function purified(html: string): DocumentFragment {
  return DOMPurify.sanitize(html, { RETURN_DOM_FRAGMENT: true, ADD_ATTR: ["target"], FORBID_ATTR: ["style"], FORBID_TAGS: ["style", "form", "img"] });
}
