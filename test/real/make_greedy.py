"""Greedy answers of transformers to 20 harmless prompts: greedy.json beside this script.

usage:
    pip install torch==2.15.0 transformers==5.24.0 safetensors
    python make_greedy.py BASE
    bunx biome check --write greedy.json

BASE is the folder made by models/smollm2/make_base.py of the shared files: SmolLM2-135M-Instruct out of its GGUF file, float32. For each
prompt: its text, the ids of the chat template with it, and at most 32 tokens of the greedy answer, without the end token; `margin` is the
smallest lead, over the answer, of the likeliest logit over the next: what rounding may not reach.
"""

import json
import sys
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

N_NEW, END = 32, 2

PROMPTS = [
    "What is the capital of France?",
    "Name three fruits.",
    "Write one sentence about the sea.",
    "How many days does a week have?",
    "Translate to French: good morning",
    "Who wrote Romeo and Juliet?",
    "Explain in one sentence why the sky is blue.",
    "Give me a short recipe for pancakes.",
    "What is 7 plus 5?",
    "List the planets of the solar system.",
    "Write a haiku about autumn.",
    "What does a librarian do?",
    "Complete the proverb: a stitch in time",
    "Tell me a fun fact about otters.",
    "What colour do blue and yellow make when mixed?",
    "Write a Python function that adds two numbers.",
    "Summarise: The cat sat on the mat because it was warm there, and it slept until the evening.",
    "Schreibe einen Satz über den Frühling.",
    "¿Cómo se dice gato en inglés?",
    "Suggest a name for a bakery 🥐.",
]


@torch.no_grad()
def answer(model, ids):
    out = model.generate(torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long), do_sample=False,
                         max_new_tokens=N_NEW, pad_token_id=END, output_logits=True, return_dict_in_generate=True)
    new = out.sequences[0, len(ids):].tolist()
    top = torch.stack([step[0] for step in out.logits]).topk(2).values
    margin = (top[:, 0] - top[:, 1]).min().item()
    return (new[: new.index(END)] if END in new else new), margin


def main(base):
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, attn_implementation="eager").eval()
    rows = []
    for prompt in PROMPTS:
        text = tokenizer.apply_chat_template([{"role": "user", "content": prompt}], add_generation_prompt=True, tokenize=False)
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        new, margin = answer(model, ids)
        rows.append({"prompt": prompt, "ids": ids, "answer": new, "text": tokenizer.decode(new, skip_special_tokens=True), "margin": margin})
    versions = f"torch {torch.__version__.split('+')[0]}, transformers {transformers.__version__}"
    document = {"made": f"by make_greedy.py with {versions}", "answers": rows}
    (Path(__file__).parent / "greedy.json").write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")


main(Path(sys.argv[1]))
