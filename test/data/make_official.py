"""What the official code samples and asks: the file official.jsonl beside this script.

usage:
    pip install torch transformers tqdm
    python make_official.py OFFICIAL > official.jsonl

OFFICIAL holds utils/prompt_utils.py and safedelta/safedelta_runner.py of https://github.com/ColinLu50/SafeDelta, folder
llama2, and nothing else of it (its __init__.py files would import the rest).

Runs get_safe_data and get_prompt_template themselves, with a tokenizer that gives one id a character, so that their texts can
be read back. Only hashes of texts are kept.
"""
import contextlib
import hashlib
import json
import os
import platform
import random
import sys
import tempfile
import types

import torch

INSTRUCTIONS = ["say hello", "  add 1 + 1 .\n", "50% of $& is $1 ?", "\x1cß\u3000\n\nwhy?\x85\u2029", "\ufeffa\ufeff"]
TEMPLATES = ["none", "base", "pure_bad", "aoa", "math", "alpaca", "dolly", "summary"]
RECORDS = [{"instruction": f" question {i} ", "output": f"answer {i}"} for i in range(50)]
SHUFFLES = [(42, 1), (42, 2), (42, 10), (0, 40), (1, 1000), (2**32 + 7, 30), (2**53 - 1, 30), (-42, 10), (7, 65)]


class Characters:
    """A begin token (0) and one id a character."""
    def __call__(self, text, return_tensors):
        return types.SimpleNamespace(input_ids=torch.tensor([[0] + [ord(c) for c in text]]))


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def safe_data(runner, n, seed):
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        path = os.path.join(folder, "records.json")
        with open(path, "w") as f:
            json.dump(RECORDS, f)
        loaded = runner.get_safe_data(n, Characters(), 0, path, seed)
    return [sha256("".join(chr(i) for i in ids[0, 1:].tolist())) for ids, _ in loaded]


def shuffled(seed, n):
    order = list(range(n))
    random.Random(seed).shuffle(order)
    return order


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.path.insert(0, sys.argv[1])
    import transformers  # noqa: F401  before the stand-in for datasets, which it looks for
    sys.modules["datasets"] = types.SimpleNamespace(load_dataset=None)
    from safedelta import safedelta_runner as runner
    from utils.prompt_utils import get_prompt_template
    prompt = lambda name, text: "[INST] " + (get_prompt_template(name) % text).strip() + " [/INST]"
    lines = [
        {"made": f"by make_official.py with Python {platform.python_version()}", "instructions": INSTRUCTIONS, "records": RECORDS},
        {"shuffles": [{"seed": s, "order": shuffled(s, n)} for s, n in SHUFFLES if n < 1000],
         "long": [{"seed": s, "n": n, "sha256": sha256(json.dumps(shuffled(s, n)))} for s, n in SHUFFLES if n >= 1000]},
        {"prompts": {name: [sha256(prompt(name, text)) for text in INSTRUCTIONS] for name in TEMPLATES}},
        {"samples": [{"seed": seed, "n": n, "sha256": safe_data(runner, n, seed)} for seed, n in ((42, 9), (7, 50))]},
    ]
    for line in lines:
        print(json.dumps(line))


if __name__ == "__main__":
    main()
