"""The peer of the engine benchmarks: f32 BLAS and LAPACK through scipy, on OPENBLAS_NUM_THREADS threads.

Reads one JSON task a line, {"op", "m", "n", "k", "seconds"}, runs it for about `seconds` (at least once after one warm-up) and
answers with one JSON line: {"medianMs", "leastMs"}, in processor time for one thread, else by the clock. Inputs that an operation
overwrites are copied outside the timed part. The first line it prints describes itself.
"""

import json
import os
import statistics
import sys
import time

import numpy as np
import scipy
from scipy.linalg import blas, eigh, lapack

threads = int(os.environ["OPENBLAS_NUM_THREADS"])
now = time.process_time if threads == 1 else time.perf_counter
random = np.random.default_rng(20250512)


def uniform(rows, cols):
    return np.asfortranarray(random.uniform(-1, 1, (rows, cols)).astype(np.float32))


def definite(n):
    x = uniform(n, n)
    return np.asfortranarray(x.T @ x / n + np.eye(n, dtype=np.float32))


def triangle(n):
    r = np.triu(uniform(n, n), 1) / np.sqrt(n)
    return np.asfortranarray(r + np.diag(1.5 + 0.5 * random.uniform(-1, 1, n)), dtype=np.float32)


def prepare(op, m, n, k):
    """(target, run): run gets a fresh copy of target, which it may overwrite."""
    if op == "gemm":
        a, b = uniform(m, k), uniform(k, n)
        return uniform(m, n), lambda c: blas.sgemm(1, a, b, 0, c, overwrite_c=1)
    if op == "syrk":
        x = uniform(k, n)
        return uniform(n, n), lambda c: blas.ssyrk(1, x, 0, c, trans=1, overwrite_c=1)
    if op == "cholesky":
        return definite(n), lambda h: lapack.spotrf(h, overwrite_a=1)
    if op == "inverse":
        return triangle(n), lambda r: lapack.strtri(r, overwrite_c=1)
    if op == "eigh":
        return definite(n), lambda h: eigh(h, overwrite_a=True, check_finite=False, driver="evd")
    r = triangle(n)
    routine = {"trmm": blas.strmm, "trsm": blas.strsm}[op]
    return uniform(m, n), lambda b: routine(1, r, b, side=1, overwrite_b=1)


def once(target, run):
    copy = target.copy(order="F")
    start = now()
    run(copy)
    return now() - start


prepared = {}


def answer(op, m, n, k, seconds):
    key = (op, m, n, k)
    if key not in prepared:
        prepared.clear()
        prepared[key] = prepare(*key)
    once(*prepared[key])
    times = [once(*prepared[key])]
    while sum(times) < seconds:
        times.append(once(*prepared[key]))
    return {"medianMs": 1000 * statistics.median(times), "leastMs": 1000 * min(times)}


def main():
    print(json.dumps({"peer": f"numpy {np.__version__}, scipy {scipy.__version__}, threads: {threads}"}), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(**json.loads(line))), flush=True)


main()
