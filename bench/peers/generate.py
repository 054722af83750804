"""Greedy generation with transformers in f32, for bench/src/generate.ts: one task as JSON on stdin, one answer on stdout.

All prompts are answered together with a cache of keys and values; no token ends an answer. A first short answer warms up and is not timed.
"""

import json
import sys
import time

import torch
from transformers import AutoModelForCausalLM

task = json.loads(sys.stdin.read())
torch.set_num_threads(task["threads"])
model = AutoModelForCausalLM.from_pretrained(task["model"], dtype=torch.float32).eval()
model.generation_config.eos_token_id = None
ids = torch.tensor(task["prompts"])


@torch.no_grad()
def answer(n):
    out = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=n, min_new_tokens=n, pad_token_id=0)
    return out[:, ids.shape[1]:].tolist()


answer(4)
start, cpu = time.perf_counter(), time.process_time()
answers = answer(task["tokens"])
seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu
count = len(answers) * task["tokens"]
versions = f"torch {torch.__version__}, transformers {__import__('transformers').__version__}, {task['threads']} threads"
print(json.dumps(dict(tokensPerSecond=count / seconds, tokensPerCpuSecond=count / cpu_seconds, answers=answers, versions=versions)))
