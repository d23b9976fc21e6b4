// SPDX-License-Identifier: Apache-2.0
import { expect, test } from "vitest";

import app from "../src/app.css?raw";
import composer from "../src/components/Composer.svelte?raw";

// Every button's background turns under the pointer: one whose words are coloured for its own background needs
// its own colour there, too, or they can no longer be read.
test.each([
  ["button.main", app],
  ["button.danger", app],
  [".send", composer],
  [".send.stop", composer],
])("%s keeps a colour of its own under the pointer", (selector, source) => {
  const hovers = source.match(/[^{}]+:hover[^{}]*\{[^}]*background:[^}]*\}/g) ?? [];
  const own = hovers.filter((rule) => rule.split("{")[0]!.split(",").some((one) => one.trim().startsWith(`${selector}:hover`)));
  expect(own).toHaveLength(1);
  expect(own[0]).not.toContain("var(--hover)");
});
