"""Group quantisation written down independently, with numpy 2: run it to print golden.json."""

import json

import numpy as np

rng = np.random.default_rng(7)
rows, cols = 3, 70  # two groups of 32 and one of 6
weights = rng.normal(0, 0.05, (rows, cols)).astype(np.float32)
weights[1, 32:64] = 0  # a group of zeros
weights[2, 5] = 6.5  # one large weight among small ones

out = {"numpy": np.__version__, "seed": 7, "rows": rows, "cols": cols, "weights": weights.ravel().tolist()}
for name, dtype in (("float32", np.float32), ("float16", np.float16)):
    w = weights.astype(dtype).astype(np.float32)
    padded = np.pad(w, ((0, 0), (0, -cols % 32))).reshape(rows, -1, 32)
    scale = (np.abs(padded).max(axis=2) / np.float32(7)).astype(dtype).astype(np.float32)
    safe = np.where(scale == 0, np.float32(1), scale)[..., None]
    steps = (padded / safe + np.float32(7)).astype(np.float64)
    q = np.clip(np.floor(steps + 0.5), 0, 14).astype(np.uint64)
    q.reshape(rows, -1)[:, cols:] = 0  # nothing is written past the end of a row
    nibbles = q.reshape(rows, -1, 8)
    words = (nibbles << (4 * np.arange(8, dtype=np.uint64))).sum(axis=2)
    out[name] = {"words": words.ravel().tolist(), "scales": scale.ravel().tolist()}
print(json.dumps(out))
