#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/golden/engine/run/embeddings.txt: the last hidden states, pooled, that transformers computes with the
tiny models of golden_models.py and golden_deepseek.py for the tokens in their files. A line: FILE POOLING NUMBERS...

Usage: scripts/golden_embeddings.py    (needs what golden_models.py needs)
"""

import gguf
import torch

import golden_deepseek
import golden_models

OUT = golden_models.OUT.parent / "run" / "embeddings.txt"


def lines_of(name: str, model) -> list[str]:
    field = gguf.GGUFReader(golden_models.OUT / name).fields["golden.tokens"]
    tokens = torch.tensor([int(field.parts[i][0]) for i in field.data])
    with torch.no_grad():
        states = model.model(tokens[None]).last_hidden_state[0].double()
    return [f"{name} {pooling} " + " ".join(f"{x:.7g}" for x in vector.tolist())
            for pooling, vector in (("mean", states.mean(0)), ("last", states[-1]))]


def main() -> None:
    lines = []
    for case in ("llama_plain", "qwen2"):
        config_kind, model_kind, rope, tied, seeds = golden_models.CASES[case]
        config = config_kind(**golden_models.SIZES, tie_word_embeddings=tied, rms_norm_eps=1e-5,
                             attn_implementation="eager", rope_parameters={"rope_theta": 10000.0, **rope})
        lines += lines_of(f"{case}_{seeds[0]}.gguf", golden_models.random_model(config, model_kind, seeds[0]))
    for case in ("v2_lite", "v3"):
        _, config_kind, model_kind, settings, seeds = golden_deepseek.CASES[case]
        config = config_kind(**{**golden_deepseek.COMMON, **settings})
        lines += lines_of(f"{case}_{seeds[0]}.gguf", golden_deepseek.random_model(config, model_kind, seeds[0]))
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
