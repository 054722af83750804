"""
Proxies without generation, computed with PyTorch and transformers in f64 on the demo's models; writes proxies.json beside this file.

usage: python make_proxies.py    (torch, transformers)
"""
import json, pathlib
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

here = pathlib.Path(__file__).parent
demo = here / "../../../cli/demo"
tokenizer = AutoTokenizer.from_pretrained(demo / "aligned")
load = lambda name: AutoModelForCausalLM.from_pretrained(demo / name, dtype=torch.float64).eval()
aligned, tuned = load("aligned"), load("tuned")
lines = [json.loads(line) for line in open(demo / "safe.jsonl")]
examples = [lines[i]["messages"] for i in (0, 7, 40)]
opening = tokenizer.encode("sorry", add_special_tokens=False)[0]


def ids_of(messages, **options):
    text = tokenizer.apply_chat_template(messages, tokenize=False, **options)
    return tokenizer.encode(text, add_special_tokens=False)


@torch.no_grad()
def logs(model, ids):
    return torch.log_softmax(model(torch.tensor([ids])).logits[0], -1)


@torch.no_grad()
def output_error(ids):
    moved = whole = 0.0
    hooks = []
    others = dict(tuned.named_modules())

    def look(name):
        def hook(module, inputs, _):
            nonlocal moved, whole
            x = inputs[0].double()
            moved += (x @ (others[name].weight - module.weight).T).square().sum().item()
            whole += (x @ module.weight.T).square().sum().item()
        return hook

    for name, module in aligned.named_modules():
        if name.endswith("_proj"):
            hooks.append(module.register_forward_hook(look(name)))
    aligned(torch.tensor([ids]))
    for hook in hooks:
        hook.remove()
    return moved / whole


found = []
for messages in examples:
    prompt = ids_of(messages[:-1], add_generation_prompt=True)
    whole = ids_of(messages)[:-1]
    p, q = logs(aligned, whole), logs(tuned, whole)
    start = len(prompt) - 1
    kl = (p.exp() * (p - q)).sum(-1)[start:].mean().item()
    first = {name: logs(model, prompt)[-1] for name, model in (("aligned", aligned), ("tuned", tuned))}
    odds = {}
    for name, log in first.items():
        share = log[opening].exp()
        odds[name] = (share.log() - (1 - share).log()).item()
    choices = [tokenizer.encode(" " + word, add_special_tokens=False) for word in ("sorry", "the")]
    scores = []
    for choice in choices:
        text = prompt + choice
        log = logs(aligned, text)
        scores.append(sum(log[len(prompt) - 1 + i, id].item() for i, id in enumerate(choice)))
    found.append({"messages": messages, "kl": kl, "logOdds": odds, "outputError": output_error(whole), "choices": choices, "scores": scores})

json.dump({"opening": "sorry", "examples": found}, open(here / "proxies.json", "w"), indent=1)
