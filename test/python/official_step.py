"""One linear by the procedure of the official Safe Delta code, in PyTorch on the CPU.

usage: python official_step.py IN.safetensors OUT.safetensors SCALE [float32|float64]

IN holds `aligned`, `tuned` and the activations `x0`, `x1`, ... (one tensor an example, tokens x columns). OUT receives
`weight` (in the dtype computed with), `kept` (U8) and `cumulative`: for each entry the walk's running loss as a share of its
block's budget, infinite for the entries that the procedure never considers.

Follows add_batch and adjust_delta of llama2/safedelta/safedelta_runner.py of github.com/ColinLu50/SafeDelta step by step, with
the stable sort that CUDA has, its blocks of 2048 columns, and nothing else of it.
"""

import sys

import torch
from safetensors.torch import load_file, save_file

BLOCK, SUB_BLOCK, DAMPING, LEFT_OUT = 2048, 4, 0.01, 0.15


def hessian(examples):
    total, n = torch.zeros(examples[0].shape[1], examples[0].shape[1], dtype=examples[0].dtype), 0
    for x in examples:
        total *= n / (n + 1)
        n += 1
        x = (2 / n) ** 0.5 * x.t()
        total += x @ x.t()
    return total


def inverse_factor(h):
    """U with (H + damping)^-1 = U^T U."""
    dead = torch.diag(h) == 0
    h[dead, dead] = 1
    h.diagonal().add_(DAMPING * torch.mean(torch.diag(h)))
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(h))
    return torch.linalg.cholesky(inverse, upper=True)


def select(delta, u, scale):
    """The mask, and each entry's cumulative loss as a share of the budget."""
    sensitivity = (1 / torch.diag(u) ** 2).expand_as(delta)
    order = torch.argsort(sensitivity.flatten(), stable=True)
    order = order[: -int(LEFT_OUT * delta.numel())]
    cumulative = torch.cumsum((delta ** 2 * sensitivity).flatten()[order], dim=0)
    budget = sensitivity.mean() * scale / 2 * delta.shape[0] / 4096
    share = torch.full((delta.numel(),), float("inf"), dtype=delta.dtype)
    share[order] = cumulative / budget
    mask = torch.zeros(delta.numel(), dtype=torch.bool)
    mask[order] = cumulative <= budget
    return mask.reshape(delta.shape), share.reshape(delta.shape)


def compensate(w, tuned, mask, u):
    """Columns of one block; gives the new ones and the error that later blocks take."""
    w, error = w.clone(), torch.zeros_like(w)
    for first in range(0, w.shape[1], SUB_BLOCK):
        cols = slice(first, first + SUB_BLOCK)
        q = torch.where(mask[:, cols], tuned[:, cols], w[:, cols])
        error[:, cols] = (w[:, cols] - q) / torch.diag(u)[cols]
        w[:, first + SUB_BLOCK:] -= error[:, cols] @ u[cols, first + SUB_BLOCK:]
        w[:, cols] = q
    return w, error


def adjust(aligned, tuned, u, scale):
    w, kept, cumulative = aligned.clone(), torch.zeros_like(aligned, dtype=torch.bool), torch.zeros_like(aligned)
    for first in range(0, w.shape[1], BLOCK):
        cols, later = slice(first, first + BLOCK), slice(first + BLOCK, None)
        block = u[cols, cols]
        kept[:, cols], cumulative[:, cols] = select(tuned[:, cols] - w[:, cols], block, scale)
        w[:, cols], error = compensate(w[:, cols], tuned[:, cols], kept[:, cols], block)
        w[:, later] -= error @ u[cols, later]
    return w, kept, cumulative


def main(source, out, scale, dtype="float32"):
    tensors = {name: t.to(getattr(torch, dtype)) for name, t in load_file(source).items()}
    examples = [tensors[f"x{i}"] for i in range(len(tensors) - 2)]
    u = inverse_factor(hessian(examples))
    weight, kept, cumulative = adjust(tensors["aligned"], tensors["tuned"], u, float(scale))
    save_file({"weight": weight, "kept": kept.to(torch.uint8), "cumulative": cumulative}, out)
    print("{}")


main(*sys.argv[1:])
