// SPDX-License-Identifier: Apache-2.0
// node embed.mjs DIST BLOB OUT.cpp: packs the built page into one file, plain and compressed, and writes the C++
// source that takes it into the binary.
import { createHash } from "node:crypto";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { extname, join, relative, resolve, sep } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const [dist, blob, out] = process.argv.slice(2);
const types = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".woff2": "font/woff2",
};

function files(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? files(join(folder, entry.name)) : [join(folder, entry.name)]);
}

const pieces = [];
let size = 0;
function placed(bytes) {
  if (bytes.length === 0) return "{}";
  pieces.push(bytes);
  size += bytes.length;
  return `{dw_page_bytes + ${size - bytes.length}, ${bytes.length}}`;
}

const none = Buffer.alloc(0);
const rows = files(dist).sort().map((file) => {
  const path = "/" + relative(dist, file).split(sep).join("/");
  const type = types[extname(file)];
  if (type === undefined) throw new Error(`${path}: no content type is known for it; add it to embed.mjs`);
  const plain = readFileSync(file);
  const packed = extname(file) === ".woff2" ? [none, none] : [
    gzipSync(plain, { level: 9 }),
    brotliCompressSync(plain, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: plain.length } }),
  ];
  const [gzip, brotli] = packed.map((bytes) => (bytes.length < plain.length ? bytes : none));
  const etag = createHash("sha256").update(plain).digest("hex").slice(0, 16);
  return `    {"${path === "/index.html" ? "/" : path}", "${type}", "W/\\"${etag}\\"",\n` +
    `     ${placed(plain)}, ${placed(gzip)}, ${placed(brotli)}},`;
});
const bytes = Buffer.concat(pieces);
writeFileSync(blob, bytes);
// The digest makes the compiler run again when only the blob has changed.
writeFileSync(out, `// Written by src/server/web/embed.mjs. ${createHash("sha256").update(bytes).digest("hex")}
#include "server/web/page.h"

__asm__(
    ".pushsection .rodata\\n"
    ".global dw_page_bytes\\n"
    "dw_page_bytes:\\n"
    ".incbin \\"${resolve(blob)}\\"\\n"
    ".byte 0\\n"
    ".popsection\\n");
extern "C" const char dw_page_bytes[];

namespace deepwell {
std::span<const PageFile> page_files() {
  static const PageFile files[] = {
${rows.join("\n")}
  };
  return files;
}
}  // namespace deepwell
`);
