"""Read safetensors files with Python's safetensors.

usage: python read_safetensors.py FILE...

Prints {file: {"metadata": {...}, "tensors": {name: [dtype, shape, sha256 of the bytes]}}}.
"""

import hashlib
import json
import sys

import torch
from safetensors import safe_open


def describe(tensor):
    data = tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes()
    return [str(tensor.dtype).removeprefix("torch."), list(tensor.shape), hashlib.sha256(data).hexdigest()]


def read(path):
    with safe_open(path, framework="pt") as file:
        return {"metadata": file.metadata(), "tensors": {name: describe(file.get_tensor(name)) for name in file.keys()}}


print(json.dumps({path: read(path) for path in sys.argv[1:]}))
