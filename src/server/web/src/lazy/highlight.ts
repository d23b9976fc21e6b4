// SPDX-License-Identifier: Apache-2.0
// Loaded when a message has code in a known language.
import highlighter from "highlight.js/lib/common";
import cmake from "highlight.js/lib/languages/cmake";
import dockerfile from "highlight.js/lib/languages/dockerfile";
import haskell from "highlight.js/lib/languages/haskell";
import latex from "highlight.js/lib/languages/latex";
import nginx from "highlight.js/lib/languages/nginx";
import powershell from "highlight.js/lib/languages/powershell";

for (const [name, language] of Object.entries({ cmake, dockerfile, haskell, latex, nginx, powershell })) {
  highlighter.registerLanguage(name, language);
}

/** Colours a <code class="language-x"> of a known language. */
export function highlight(code: HTMLElement, language: string): void {
  if (!highlighter.getLanguage(language)) return;
  const { value } = highlighter.highlight(code.textContent ?? "", { language, ignoreIllegals: true });
  code.innerHTML = value; // the highlighter escapes what it does not wrap
}
