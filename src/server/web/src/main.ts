// SPDX-License-Identifier: Apache-2.0
import { mount } from "svelte";

import App from "./App.svelte";
import "./app.css";

// The server was updated and a part that this page names is gone: the new page has it.
addEventListener("vite:preloadError", () => {
  if (performance.now() > 10_000) location.reload();
});

mount(App, { target: document.body });
