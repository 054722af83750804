"""What Python reads and computes on the real model: base.json and answers.json beside this script.

usage:
    pip install torch transformers==4.46.3 peft==0.13.2 safetensors
    python make_expected.py BASE SHARED
    bunx biome check --write base.json answers.json

BASE is the folder made by models/smollm2/make_base.py of the shared files, SHARED the folder models/smollm2 itself.

base.json: sha256 of the bytes of every tensor of BASE (float32, little-endian) and of tokenizer.json, written with sorted
keys and without blanks; its other JSON files as they are. answers.json: for aligned and tuned (merged as the README there says), the largest logits after a
few prompts and the greedy answers, as token ids without the end token, at most 16.
"""

import hashlib
import json
import sys
from pathlib import Path

import peft
import torch
import transformers
from peft import PeftModel
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer

N_PROMPTS, N_TOP, N_NEW, END = 4, 20, 16, 2
SMALL_FILES = ("config.json", "generation_config.json", "tokenizer_config.json")


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def read_json(path):
    return json.loads(path.read_text())


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def describe_base(base):
    with safe_open(base / "model.safetensors", framework="pt") as file:
        tensors = {name: sha256(file.get_tensor(name).numpy().tobytes()) for name in sorted(file.keys())}
    files = {name: read_json(base / name) for name in SMALL_FILES}
    return {"made": "by make_expected.py", "tokenizer": sha256(canonical(read_json(base / "tokenizer.json"))),
            "files": files, "tensors": tensors}


def prompts(shared, tokenizer):
    lines = [json.loads(line) for name in ("guarded", "task")
             for line in (shared / f"eval-{name}.jsonl").read_text().splitlines()[: N_PROMPTS // 2]]
    return [tokenizer.apply_chat_template(line["messages"], add_generation_prompt=True) for line in lines]


@torch.no_grad()
def expect(model, ids):
    logits = model(torch.tensor([ids])).logits[0, -1]
    top = torch.topk(logits, N_TOP)
    answer = model.generate(torch.tensor([ids]), do_sample=False, max_new_tokens=N_NEW, pad_token_id=END)[0, len(ids):].tolist()
    answer = answer[: answer.index(END)] if END in answer else answer
    return {"ids": ids, "top_ids": top.indices.tolist(), "top_logits": top.values.tolist(), "answer": answer}


def write(name, value):
    (Path(__file__).parent / name).write_text(json.dumps(value, indent=1) + "\n")


def main(base, shared):
    write("base.json", describe_base(base))
    tokenizer = AutoTokenizer.from_pretrained(base)
    versions = f"torch {torch.__version__.split('+')[0]}, transformers {transformers.__version__}, peft {peft.__version__}"
    answers = {"made": f"by make_expected.py with {versions}"}
    model = AutoModelForCausalLM.from_pretrained(base, torch_dtype=torch.float32, attn_implementation="eager").eval()
    for name in ("aligned", "tuned"):
        model = PeftModel.from_pretrained(model, shared / f"{name}-adapter").merge_and_unload()
        answers[name] = [expect(model, ids) for ids in prompts(shared, tokenizer)]
    write("answers.json", answers)


main(*map(Path, sys.argv[1:]))
