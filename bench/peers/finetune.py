"""Full fine-tuning in PyTorch eager f32, for bench/src/finetune.ts: one task as JSON on stdin, one answer on stdout.

The order is that of seed 0. Batches are padded to their longest example; AdamW and clipping as finetune's defaults. The first update warms up and is not timed.
Peak memory is the process's largest resident set.
"""

import json
import random
import resource
import sys
import time

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

task = json.loads(sys.stdin.read())
torch.set_num_threads(task["threads"])
tokenizer = AutoTokenizer.from_pretrained(task["model"])
model = AutoModelForCausalLM.from_pretrained(task["model"], dtype=torch.float32).train()
optimizer = torch.optim.AdamW(model.parameters(), lr=task["lr"], weight_decay=0.0)


def example_of(messages):
    ids = tokenizer.apply_chat_template(messages, tokenize=True, return_dict=False)
    before = tokenizer.apply_chat_template(messages[:1], tokenize=True, return_dict=False, add_generation_prompt=True)
    end = ids.index(tokenizer.eos_token_id, len(before)) + 1
    return ids, [-100] * len(before) + ids[len(before):end] + [-100] * (len(ids) - end)


def batch_of(examples):
    longest = max(len(ids) for ids, _ in examples)
    pad = lambda values, filler: values + [filler] * (longest - len(values))
    ids = torch.tensor([pad(ids, 0) for ids, _ in examples])
    mask = torch.tensor([pad([1] * len(ids), 0) for ids, _ in examples])
    labels = torch.tensor([pad(labels, -100) for _, labels in examples])
    return dict(input_ids=ids, attention_mask=mask, labels=labels)


examples = [example_of(json.loads(line)["messages"]) for line in open(task["data"])]
random.Random(0).shuffle(examples)
batches = [examples[i : i + task["batch"]] for i in range(0, len(examples), task["batch"])]
losses, tokens = [], 0
for i, examples_of_batch in enumerate(batches):
    if i == 1:
        start, cpu = time.perf_counter(), time.process_time()
    optimizer.zero_grad()
    loss = model(**batch_of(examples_of_batch)).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    losses.append(loss.item())
    tokens += sum(len(ids) for ids, _ in examples_of_batch) if i > 0 else 0
seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu
peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
versions = f"torch {torch.__version__}, transformers {__import__('transformers').__version__}"
speed = dict(tokensPerSecond=tokens / seconds, tokensPerCpuSecond=tokens / cpu_seconds)
print(json.dumps(dict(**speed, peakBytes=peak, losses=losses, versions=versions)))
