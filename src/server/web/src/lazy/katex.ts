// SPDX-License-Identifier: Apache-2.0
// Loaded when a message has TeX. KaTeX builds elements itself, so that no style attribute is parsed, which the
// content security policy forbids.
import katex from "katex";
import "katex/dist/katex.min.css";

export function setMath(element: HTMLElement): void {
  const tex = element.textContent ?? "";
  try {
    const set = document.createElement("span");
    katex.render(tex, set, { displayMode: element.dataset.display === "true", throwOnError: true, strict: false, trust: false, maxExpand: 200, maxSize: 50 });
    element.replaceChildren(set);
    element.classList.add("set");
  } catch {
    element.classList.add("broken"); // the source stays readable
  }
}
