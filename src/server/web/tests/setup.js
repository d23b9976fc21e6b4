// SPDX-License-Identifier: Apache-2.0
// Node 18 has no global crypto, which every browser has.
import { webcrypto } from "node:crypto";

globalThis.crypto ??= webcrypto;
