// SPDX-License-Identifier: Apache-2.0
// How this browser shows the page, and what new chats start with.
import { type ChatSettings, defaultSettings } from "./chat";
import { keep, kept } from "./keep";

export type Theme = "auto" | "light" | "dark";

class Look {
  theme = $state<Theme>(kept("theme", "auto") as Theme);
  private system = $state(matchMedia("(prefers-color-scheme: dark)").matches);
  dark = $derived(this.theme === "auto" ? this.system : this.theme === "dark");

  constructor() {
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", (event) => (this.system = event.matches));
  }

  choose(theme: Theme): void {
    this.theme = theme;
    keep("theme", theme);
  }
}
export const look = new Look();

export function startSettings(): ChatSettings {
  try {
    return { ...defaultSettings, ...JSON.parse(kept("settings", "{}")), seed: null };
  } catch {
    return { ...defaultSettings };
  }
}

export function keepStartSettings(settings: ChatSettings): void {
  keep("settings", JSON.stringify(settings));
}
