// SPDX-License-Identifier: Apache-2.0
// Small things this browser remembers. A private window may refuse: then they last until a reload.

export function kept(name: string, fallback: string): string {
  try {
    return localStorage.getItem(`deepwell.${name}`) ?? fallback;
  } catch {
    return fallback;
  }
}

export function keep(name: string, value: string): void {
  try {
    localStorage.setItem(`deepwell.${name}`, value);
  } catch {
    // Nothing to do: see above.
  }
}
