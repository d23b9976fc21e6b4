// SPDX-License-Identifier: Apache-2.0
import { expect, test } from "vitest";

import { textOf } from "../src/lib/attach";

test("text is text in UTF-8 and UTF-16, with any line ends", () => {
  expect(textOf(new TextEncoder().encode("a\r\nb\r你"))).toBe("a\nb\n你");
  expect(textOf(new Uint8Array([0xff, 0xfe, 0x41, 0x00]))).toBe("A");
  expect(textOf(new Uint8Array([0xfe, 0xff, 0x00, 0x41]))).toBe("A");
  expect(textOf(new Uint8Array())).toBe("");
});

test("anything else is not", () => {
  expect(textOf(new Uint8Array([0x25, 0x50, 0x44, 0x46, 0x00]))).toBeNull();
  expect(textOf(new Uint8Array([0xc3, 0x28]))).toBeNull();
  expect(textOf(new Uint8Array([0x7f, 0x45, 0x4c, 0x46, 0x02, 0x01]))).toBeNull();
});
