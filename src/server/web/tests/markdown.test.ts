// SPDX-License-Identifier: Apache-2.0
import { expect, test } from "vitest";

import { blocks } from "../src/lib/markdown";

const html = (text: string) => blocks(text).join("");

test("each block is a piece of its own, and earlier pieces stay as the text grows", () => {
  const text = "# One\n\ntwo\n\n- a\n- b\n\n```js\nlet x;\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nlast";
  const whole = blocks(text);
  expect(whole).toHaveLength(6);
  const half = blocks(text.slice(0, text.indexOf("| a")));
  expect(whole.slice(0, half.length)).toEqual(half);
});

test("HTML stays text, pictures are not fetched, links open elsewhere", () => {
  expect(html("<img src=x onerror=alert(1)>")).toContain("&lt;img");
  expect(html("![cat](https://example.com/cat.png)")).not.toContain("<img");
  expect(html("[x](javascript:alert(1))")).not.toContain("href");
  expect(html("https://example.com")).toContain('rel="noopener noreferrer"');
});

test("formulas are found, money and code are not", () => {
  const tex = (text: string) => Array.from(html(text).matchAll(/data-display="(\w+)">([^<]*)</g), ([, display, source]) => `${display}:${source}`);
  expect(tex("An $x^2$ and \\(y\\).")).toEqual(["false:x^2", "false:y"]);
  expect(tex("$$\na+b\n$$")).toEqual(["true:a+b"]);
  expect(tex("\\[ \\frac{1}{2} \\]")).toEqual(["true:\\frac{1}{2}"]);
  expect(tex("Text $$x$$ text")).toEqual(["true:x"]);
  expect(tex("- item\n  $$\n  c\n  $$")).toEqual(["true:c"]);
  expect(tex("It costs $5 and $10.")).toEqual([]);
  expect(tex("`$x$` and \\$x\\$")).toEqual([]);
  expect(tex("```\n$$x$$\n```")).toEqual([]);
  expect(tex("$$ not closed")).toEqual([]);
  expect(tex("$a < b$")).toEqual(["false:a &lt; b"]);
});
