"""Adapters that change embeddings or head of a tied base, and what becomes of them in PEFT.

usage: python tied_adapters.py OUT

Writes OUT/base and OUT/<kind>, and prints {kind: [merged, reloaded]}: the largest difference of a logit from the trained model
after merge_and_unload, and after the merged model was saved and loaded again.
"""

import json
import sys
import warnings
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

KINDS = {
    "lora-embedding": {"target_modules": ["embed_tokens"]},
    "lora-head": {"target_modules": ["lm_head"]},
    "saved-embedding": {"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens"]},
    "saved-head": {"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]},
}
SIZES = {"hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 1, "num_attention_heads": 3, "vocab_size": 50}
IDS = torch.tensor([[1, 2, 3]])


def gap(model, expected):
    return (model.eval()(IDS).logits - expected).abs().max().item()


@torch.no_grad()
def run(kind, out):
    base = AutoModelForCausalLM.from_pretrained(out / "base").eval()
    model = get_peft_model(base, LoraConfig(r=2, init_lora_weights=False, **KINDS[kind])).eval()
    for name, parameter in model.named_parameters():
        if "modules_to_save" in name:
            parameter += 0.1 * torch.randn_like(parameter)
    trained = model(IDS).logits
    model.save_pretrained(out / kind)
    merged = model.merge_and_unload()
    first = gap(merged, trained)
    merged.save_pretrained(out / f"{kind}-merged")
    return [first, gap(AutoModelForCausalLM.from_pretrained(out / f"{kind}-merged"), trained)]


def main(out):
    warnings.filterwarnings("ignore")
    torch.manual_seed(0)
    LlamaForCausalLM(LlamaConfig(tie_word_embeddings=True, **SIZES)).save_pretrained(out / "base")
    print(json.dumps({kind: run(kind, out) for kind in KINDS}))


main(Path(sys.argv[1]))
