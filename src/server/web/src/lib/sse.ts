// SPDX-License-Identifier: Apache-2.0
// Server-sent events, with the comments that tell of the queue.

export interface StreamListener {
  data(text: string): void;
  comment(text: string): void;
}

/** Takes a stream apart, whatever the pieces it comes in. */
export class EventSplitter {
  private rest = "";
  private lines: string[] = [];

  constructor(private readonly listener: StreamListener) {}

  push(text: string): void {
    this.rest += text;
    let start = 0;
    for (let end; (end = this.rest.indexOf("\n", start)) >= 0; start = end + 1) {
      this.line(this.rest.slice(start, this.rest[end - 1] === "\r" && end > start ? end - 1 : end));
    }
    this.rest = this.rest.slice(start);
  }

  private line(line: string): void {
    if (line === "") {
      if (this.lines.length > 0) this.listener.data(this.lines.join("\n"));
      this.lines = [];
    } else if (line.startsWith(":")) {
      this.listener.comment(line.slice(1).trim());
    } else if (line.startsWith("data:")) {
      this.lines.push(line.slice(line[5] === " " ? 6 : 5));
    }
  }
}

export interface QueueNews {
  position?: number;
  etaSeconds?: number;
  prefillDone?: number;
  prefillTotal?: number;
}

/** "queue position=3 eta=12s" and "prefill done=512 total=2048"; null for any other comment. */
export function readComment(text: string): QueueNews | null {
  const [kind, ...fields] = text.split(" ");
  const values = Object.fromEntries(fields.map((field) => field.split("=", 2)));
  const number = (name: string) => Number.parseFloat(values[name] ?? "");
  if (kind === "queue" && number("position") >= 0) return { position: number("position"), etaSeconds: number("eta") };
  if (kind === "prefill" && number("total") > 0) return { prefillDone: number("done"), prefillTotal: number("total") };
  return null;
}
