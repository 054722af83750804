"""Make the expected values of this folder with PyTorch and Hugging Face transformers.

usage:
    pip install transformers==5.24.0 torch==2.15.0 safetensors numpy
    python make_expected.py

fixtures/gradients-<family>.safetensors: of each pico model in ../model/fixtures, in f32 with eager attention, the gradient of the
summed cross entropy of two sequences (`ids.i`, `targets.i`; -1 does not count) by every weight, under the weight's name, and the
sum itself (`loss`).
fixtures/curve/curve.json: loss and gradient norm of 100 updates of the model in fixtures/curve on its data.jsonl, as SETTINGS say,
in f32 on one thread; the order of the examples is Python's random.Random(seed).
"""

import json
import random
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, get_scheduler

HERE = Path(__file__).parent
VERSIONS = {"made_by": "make_expected.py", "transformers": transformers.__version__, "torch": torch.__version__.split("+")[0]}
FAMILIES = ("llama", "mistral", "qwen2", "qwen3", "gemma", "phi3")
SEQUENCES = (
    ([1, 7, 9, 3, 22, 5, 8, 30, 11, 13, 2, 17], [-1, -1, 3, 22, 5, 8, 30, -1, 13, 2, 17, 2]),
    ([1, 4, 6, 6], [-1, 6, 6, 2]),
)
SETTINGS = dict(lr=3e-3, schedule="cosine", warmup=10, clip=1.0, weight_decay=0.01, betas=(0.9, 0.98), eps=1e-8,
                batch=6, epochs=10, updates=100, seed=42)


def load(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").train()


def loss_sum(model, ids, targets):
    logits = model(torch.tensor([ids])).logits[0].float()
    return torch.nn.functional.cross_entropy(logits, torch.tensor(targets), ignore_index=-1, reduction="sum")


def make_gradients(family):
    model = load(HERE.parent / "model" / "fixtures" / family)
    loss = sum(loss_sum(model, ids, targets) for ids, targets in SEQUENCES)
    loss.backward()
    tensors = {name: parameter.grad.contiguous() for name, parameter in model.named_parameters()}
    for i, (ids, targets) in enumerate(SEQUENCES):
        tensors[f"ids.{i}"] = torch.tensor(ids, dtype=torch.int32)
        tensors[f"targets.{i}"] = torch.tensor(targets, dtype=torch.int32)
    tensors["loss"] = loss.detach().reshape(1)
    save_file(tensors, HERE / "fixtures" / f"gradients-{family}.safetensors", metadata=VERSIONS)


def example_of(tokenizer, messages):
    """Ids of the conversation, and for each position the next token where the answer says it, else -1."""
    ids = tokenizer.apply_chat_template(messages, tokenize=True, return_dict=False)
    before = tokenizer.apply_chat_template(messages[:1], tokenize=True, return_dict=False, add_generation_prompt=True)
    assert ids[: len(before)] == before
    return ids, [-1] * (len(before) - 1) + ids[len(before):] + [-1]


def batches(examples, batch, epochs, seed):
    order_of = random.Random(seed)
    for _ in range(epochs):
        order = list(range(len(examples)))
        order_of.shuffle(order)
        for start in range(0, len(order), batch):
            yield [examples[i] for i in order[start : start + batch]]


def make_curve():
    torch.set_num_threads(1)
    folder = HERE / "fixtures" / "curve"
    model, tokenizer = load(folder), AutoTokenizer.from_pretrained(folder)
    lines = (folder / "data.jsonl").read_text().splitlines()
    examples = [example_of(tokenizer, json.loads(line)["messages"]) for line in lines]
    s = SETTINGS
    steps = list(batches(examples, s["batch"], s["epochs"], s["seed"]))
    decayed = [p for p in model.parameters() if p.dim() > 1]
    kept = [p for p in model.parameters() if p.dim() <= 1]
    groups = [dict(params=decayed, weight_decay=s["weight_decay"]), dict(params=kept, weight_decay=0.0)]
    optimizer = torch.optim.AdamW(groups, lr=s["lr"], betas=s["betas"], eps=s["eps"])
    scheduler = get_scheduler(s["schedule"], optimizer, s["warmup"], len(steps))
    losses, norms = [], []
    for step in steps[: s["updates"]]:
        optimizer.zero_grad()
        n_targets = sum(target >= 0 for _, targets in step for target in targets)
        loss = sum(loss_sum(model, ids, targets) for ids, targets in step) / n_targets
        loss.backward()
        norms.append(float(torch.nn.utils.clip_grad_norm_(model.parameters(), s["clip"])))
        losses.append(float(loss))
        optimizer.step()
        scheduler.step()
    text = json.dumps({**VERSIONS, "settings": s, "loss": losses, "gradientNorm": norms}, indent=1)
    (folder / "curve.json").write_text(text + "\n")


for name in FAMILIES:
    make_gradients(name)
make_curve()
