"""What the official Safe Delta code does to one linear (its behaviour in f32 PyTorch), to be timed.

Reads JSON tasks, one a line: {"folder", "rows", "cols", "scale", "threads"}. The folder holds hessian.f32, aligned.f32 and
tuned.f32 (row-major); adjusted.f32 is written beside them and the answer is {"ms"}. The first line printed describes the peer.

Damp the Hessian; upper Cholesky factor U of its inverse; then blocks of 2048 columns: sort the entries by sensitivity, keep the
longest prefix within the budget, and spread the errors of the kept entries over the later columns, in sub-blocks of 4 columns.
"""

import json
import sys
import time
from pathlib import Path

import torch

BLOCK_COLS = 2048
SUB_BLOCK_COLS = 4
LEFT_OUT = 0.15


def factor(hessian):
    hessian = hessian.clone()
    diagonal = hessian.diagonal()
    diagonal[diagonal == 0] = 1
    diagonal += 0.01 * diagonal.mean()
    return torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(hessian)), upper=True)


def select(weight, tuned, sensitivity, scale):
    """The mask of the block's kept entries."""
    spread = sensitivity.expand_as(weight).flatten()
    losses = (tuned - weight).square().mul(sensitivity).flatten()
    order = torch.sort(spread, stable=True).indices
    order = order[: -int(LEFT_OUT * order.numel())]
    limit = sensitivity.mean() * scale / 2 * weight.shape[0] / 4096
    kept = order[torch.cumsum(losses[order], 0) <= limit]
    mask = torch.zeros(weight.numel(), dtype=torch.bool)
    mask[kept] = True
    return mask.view_as(weight)


def adjust(aligned, tuned, hessian, scale):
    """The repaired weight."""
    weight, u = aligned.clone(), factor(hessian)
    sensitivity = 1 / u.diagonal().square()
    for start in range(0, weight.shape[1], BLOCK_COLS):
        end = min(start + BLOCK_COLS, weight.shape[1])
        block, inner = weight[:, start:end].clone(), u[start:end, start:end]
        mask = select(block, tuned[:, start:end], sensitivity[start:end], scale)
        chosen = torch.where(mask, tuned[:, start:end], block)
        errors = torch.zeros_like(block)
        for i in range(0, end - start, SUB_BLOCK_COLS):
            j = i + SUB_BLOCK_COLS
            chosen[:, i:j] = torch.where(mask[:, i:j], tuned[:, start + i : start + j], block[:, i:j])
            errors[:, i:j] = (block[:, i:j] - chosen[:, i:j]) / inner.diagonal()[i:j]
            block[:, j:] -= errors[:, i:j] @ inner[i:j, j:]
        weight[:, start:end] = chosen
        weight[:, end:] -= errors @ u[start:end, end:]
    return weight


def load(path, rows, cols):
    return torch.frombuffer(bytearray(path.read_bytes()), dtype=torch.float32).view(rows, cols)


def answer(folder, rows, cols, scale, threads):
    torch.set_num_threads(threads)
    folder = Path(folder)
    hessian = load(folder / "hessian.f32", cols, cols)
    aligned, tuned = (load(folder / f"{name}.f32", rows, cols) for name in ("aligned", "tuned"))
    adjust(aligned, tuned, hessian, scale)  # fresh memory costs page faults
    start = time.perf_counter()
    weight = adjust(aligned, tuned, hessian, scale)
    ms = 1000 * (time.perf_counter() - start)
    (folder / "adjusted.f32").write_bytes(weight.contiguous().numpy().tobytes())
    return {"ms": ms}


def main():
    print(json.dumps({"peer": f"torch {torch.__version__}"}), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(**json.loads(line))), flush=True)


main()
