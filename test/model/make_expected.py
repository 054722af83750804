"""Make the fixtures of this folder with Hugging Face transformers.

usage:
    pip install transformers==4.57.1 torch safetensors
    python make_expected.py fixtures [SHARED]

fixtures/<case>/ receives a pico model of random weights (config.json, model.safetensors) and expected.safetensors: for
each prompt i `ids.i` and `logits.i` (positions x vocabulary, float32, eager attention). Every switch of a family is on
somewhere. With SHARED, the folder that holds models/tiny: fixtures/tiny-{aligned,tuned}.safetensors receive the logits of
three prompts, and `answers.<file>`: the greedy answers (at most 10 tokens, -1 after the end) to the first 40 prompts of
each eval file.
The versions are written into the metadata of each file. Transformers 4.46.3 gives the same logits to f32 rounding, except for
Qwen3, which it lacks.
"""

import json
import sys
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM

SEED = 20251205
PROMPT_LENGTHS = (13, 6, 1)
METADATA = {
    "made_by": "make_expected.py",
    "transformers": transformers.__version__,
    "torch": torch.__version__.split("+")[0],
    "seed": str(SEED),
}
SIZES = dict(
    vocab_size=40, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=64, bos_token_id=1, eos_token_id=2, pad_token_id=0,
)
LLAMA3 = dict(rope_type="llama3", factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=32)
# name: (model type, dtype of the stored weights, switches)
CASES = {
    "llama": ("llama", torch.bfloat16, dict(
        attention_bias=True, mlp_bias=True, rope_scaling=LLAMA3, rms_norm_eps=1e-5, tie_word_embeddings=True)),
    "mistral": ("mistral", torch.float16, dict(
        head_dim=12, sliding_window=5, tie_word_embeddings=False)),
    "qwen2": ("qwen2", torch.bfloat16, dict(
        rope_theta=1e6, rope_scaling=dict(rope_type="linear", factor=2.0), tie_word_embeddings=True)),
    "qwen3": ("qwen3", torch.bfloat16, dict(head_dim=16, rope_theta=1e6, tie_word_embeddings=False)),
    "gemma": ("gemma", torch.bfloat16, dict(
        head_dim=16, num_key_value_heads=1, hidden_activation="gelu_pytorch_tanh", tie_word_embeddings=True)),
    "phi3": ("phi3", torch.float32, dict(sliding_window=9, tie_word_embeddings=False)),
}
EVAL_FILES = ("guarded", "new", "old")


def randomise(model, generator, dtype):
    """Lively weights: matrices and biases around 0, norm weights around their neutral value; rounded to dtype."""
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        neutral = 1.0 if "norm" in name and model.config.model_type != "gemma" else 0.0
        scale = 0.3 if parameter.dim() == 1 else 1.5 / parameter.shape[1] ** 0.5
        parameter.data = (neutral + scale * noise).to(dtype).float()


@torch.no_grad()
def logits(model, ids):
    return model(torch.tensor([ids])).logits[0].float().contiguous()


def expect(model, prompts):
    tensors = {}
    for i, ids in enumerate(prompts):
        tensors[f"ids.{i}"] = torch.tensor(ids, dtype=torch.int32)
        tensors[f"logits.{i}"] = logits(model, ids)
    return tensors


def make_case(folder, model_type, dtype, switches):
    generator = torch.Generator().manual_seed(SEED)
    config = AutoConfig.for_model(model_type, **{**SIZES, **switches})
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    randomise(model, generator, dtype)
    folder.mkdir(parents=True, exist_ok=True)
    model.config.save_pretrained(folder)
    tied = {"lm_head.weight"} if config.tie_word_embeddings else set()
    weights = {k: v.to(dtype).contiguous() for k, v in model.state_dict().items() if k not in tied}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    saved = json.loads((folder / "config.json").read_text())
    saved["architectures"] = [type(model).__name__]
    (folder / "config.json").write_text(json.dumps(saved, indent=2) + "\n")
    prompts = [torch.randint(0, SIZES["vocab_size"], (n,), generator=generator).tolist() for n in PROMPT_LENGTHS]
    save_file(expect(model, prompts), folder / "expected.safetensors", metadata=METADATA)


def read_prompts(tiny, name, vocabulary):
    """<bos> USER >, word by word, as the chat template of the tiny pair has it."""
    lines = (tiny / f"eval-{name}.jsonl").read_text().splitlines()[:40]
    words = [json.loads(line)["messages"][0]["content"].split() for line in lines]
    return [[vocabulary[word] for word in ["<bos>", *prompt, ">"]] for prompt in words]


@torch.no_grad()
def answer(model, ids, length=10):
    """The greedy answer without its end, filled up with -1."""
    out = model.generate(torch.tensor([ids]), do_sample=False, max_new_tokens=length, pad_token_id=0)[0, len(ids):].tolist()
    end = out.index(2) if 2 in out else len(out)
    return out[:end] + [-1] * (length - end)


def make_tiny(out, tiny, name):
    model = AutoModelForCausalLM.from_pretrained(tiny / name, attn_implementation="eager").eval()
    vocabulary = json.loads((tiny / name / "tokenizer.json").read_text())["model"]["vocab"]
    prompts = {file: read_prompts(tiny, file, vocabulary) for file in EVAL_FILES}
    tensors = expect(model, [prompts[file][0] for file in EVAL_FILES])
    for file in EVAL_FILES:
        answers = [answer(model, ids) for ids in prompts[file]]
        tensors[f"answers.{file}"] = torch.tensor(answers, dtype=torch.int32)
    save_file(tensors, out / f"tiny-{name}.safetensors", metadata=METADATA)


def main(out, shared=None):
    for name, case in CASES.items():
        make_case(Path(out) / name, *case)
    if shared:
        for name in ("aligned", "tuned"):
            make_tiny(Path(out), Path(shared) / "models" / "tiny", name)


main(*sys.argv[1:])
