# SPDX-License-Identifier: Apache-2.0
"""How every golden GGUF ends: what a reference read and made of the model, beside the model itself."""
import numpy as np


def finish(out, path, tokens, **made) -> None:
    """Writes `out` (a GGUFWriter on `path` with all else in it); `logits` are among what was made."""
    out.add_array("golden.tokens", [int(t) for t in tokens])
    for name, value in made.items():
        out.add_tensor("golden." + name, np.ascontiguousarray(value, dtype=np.float32))
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()
    logits = made["logits"]
    print(f"{path.name}: {path.stat().st_size} bytes, logits in {logits.min():.2f} .. {logits.max():.2f}")
