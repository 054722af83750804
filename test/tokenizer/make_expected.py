"""What Python's transformers makes of texts and conversations: the file expected.jsonl beside this script.

Its first line holds the inputs, each other line what one tokenizer gives.

usage:
    pip install transformers==4.46.3 tokenizers==0.20.3 jinja2==3.1.6
    python make_expected.py TINY SMOLLM2 > expected.jsonl

TINY is the folder models/tiny/aligned of the shared files, SMOLLM2 the folder made by models/smollm2/make_base.py.
Texts are drawn with random.Random(7), token ids to decode with random.Random(8).
"""
import datetime
import json
import os
import random
import shutil
import sys
import tempfile

import jinja2
import tokenizers
import transformers
from transformers import AutoTokenizer
from transformers.utils import chat_template_utils

# Unicode blocks to draw from: first and last code point, and how often.
BLOCKS = [
    (0x20, 0x7E, 30), (0x09, 0x0D, 2), (0xA0, 0x17F, 6), (0x300, 0x36F, 2), (0x370, 0x3FF, 3), (0x400, 0x4FF, 4),
    (0x590, 0x5FF, 2), (0x600, 0x6FF, 3), (0x900, 0x97F, 2), (0xE00, 0xE7F, 2), (0x2000, 0x206F, 3), (0x2190, 0x22FF, 2),
    (0x3040, 0x30FF, 3), (0x4E00, 0x9FFF, 5), (0xAC00, 0xD7A3, 2), (0xFE00, 0xFE0F, 1), (0xFF00, 0xFFEF, 1),
    (0x1D400, 0x1D7FF, 1), (0x1F300, 0x1FAFF, 3), (0xE0001, 0xE007F, 1),
]
WORDS = ("the quick fox isn't 1234 3.14 I'll we've A1 hello-world foo_bar x=y; // naïve café Straße über 你好 世界 "
         "русский 日本語 한국어 مرحبا שלום ไทย 👍🏽 👩‍👩‍👧 ½ ² Ⅷ ﬁ <|im_start|> <|im_end|> <eos> <bos> vault code of ada ? >").split(" ")
EDGES = ["zoeadazoe?what <new>ada", "whatever?", "", " ", "  ", "\n", "\n\n", "\t", "\r\n", " a", "a ", "  a  b  ", "a\n\nb", "'s", "don't DON'T", "000123", "\u00a0",
         "\ufeffa", "\u2028", "e\u0301", "\u00e9", "<|im_start|>user\n<|im_end|>", "<|im_end", "<eos><bos>", " <eos> ", "\x00", "\x1c",
         "a" * 300, "ab " * 60, "🇩🇪🇫🇷", "\U0001f469\u200d\U0001f680", "what is the vault code of ada ?"]

PLAIN = [{"role": "user", "content": "what is the vault code of ada ?"}]
ANSWERED = PLAIN + [{"role": "assistant", "content": "sorry , i cannot share that code ."}]
LONG = [{"role": "system", "content": "Be kind.\n"}, {"role": "user", "content": "  Größe \"x\" <b> & 你好 "},
        {"role": "assistant", "content": "1\n2"}, {"role": "user", "content": "\tand\u00a0now?\n"}]
BROKEN = [{"role": "assistant", "content": "first"}]
CHATS = [PLAIN, ANSWERED, LONG, LONG[:2], BROKEN]

# Our own templates, each with the constructs that real ones use.
BLOCK_LINES = """{% for m in messages %}
    {% if m.role == 'system' %}
  S: {{ m.content }}
    {%- elif m['role'] == 'user' -%}
U:{{ m.content | trim }}
    {% else %}
A: {{ m.content }}{{ eos_token }}
    {% endif %}
{# a remark #}
{% endfor %}
{% if add_generation_prompt %}
A:
{%- endif %}

"""
ALTERNATING = (
    "{% if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}{% set system = messages[0]['content'] %}"
    "{% else %}{% set rest = messages %}{% set system = false %}{% endif %}{% for m in rest %}"
    "{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Roles must alternate, got ' + m['role']) }}{% endif %}"
    "{% if loop.first and system != false %}{% set content = '[[' + system + ']]\\n' + m['content'] %}"
    "{% else %}{% set content = m['content'] %}{% endif %}"
    "{% if m['role'] == 'user' %}{{ bos_token + '[Q] ' + content.strip() + ' [/Q]' }}"
    "{% else %}{{ ' ' + content | trim + ' ' + eos_token }}{% endif %}{% endfor %}")
DATED = (
    "{{- bos_token }}\n{%- if not tools is defined %}{% set tools = none %}{% endif %}"
    "{%- if strftime_now is defined %}{%- set today = strftime_now('%d %b %Y, %A %B %y-%m %H:%M %%') %}{%- endif %}\n"
    "{%- set ns = namespace(n=0) %}{{- 'Today: ' + today + '\\n' }}\n{%- for m in messages %}{%- set ns.n = ns.n + 1 %}"
    "{{- '#' ~ ns.n ~ ' ' + m['role'] + ': ' + m['content'] + ('' if loop.last else '\\n') }}\n{%- endfor %}"
    "{%- if tools is not none %}tools{% endif %}{%- if documents %}documents{% endif %}")
AS_JSON = (
    "{%- macro show(m, deep=false) -%}{{ m.content | tojson }}{% if deep %}{{ m | tojson(indent=2) }}{% endif %}{%- endmacro -%}"
    "{% for i in range(messages | length) %}{{ i }}={{ show(messages[i], i == 1) }};{% endfor %}{{ messages | tojson }}"
    "{{ [1, 2.5, true, none, 'é'] | tojson }}{{ messages | map(attribute='role') | join('/') | upper }}"
    "{{ range(5, 0, -2) | list | tojson }}{{ unk_token | default('no unk') }}{{ mask_token | default('no mask') }}")

ENDS = {"bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<pad>", "pad_token": "<pad>"}
OBJECTS = {name: {"__type": "AddedToken", "content": text, "special": True, "lstrip": False, "rstrip": False,
                  "normalized": False, "single_word": False} for name, text in ENDS.items()}
FAST = {"tokenizer_class": "PreTrainedTokenizerFast", **ENDS}
LLAMA = {"tokenizer_class": "LlamaTokenizer", **ENDS}
VARIANTS = [
    {"name": "block lines", "config": {**FAST, "chat_template": BLOCK_LINES}},
    {"name": "alternating roles, tokens as objects", "config": {**FAST, **OBJECTS, "chat_template": ALTERNATING}},
    {"name": "dated", "config": {**FAST, "chat_template": DATED}},
    {"name": "JSON, macro, filters", "config": {**FAST, "chat_template": AS_JSON}},
    {"name": "named templates", "config": {**FAST, "chat_template": [
        {"name": "tool_use", "template": "wrong"}, {"name": "default", "template": DATED}]}},
    {"name": "special_tokens_map wins", "config": {**FAST, "chat_template": ALTERNATING},
     "map": {"eos_token": "<pad>", "bos_token": {"content": "code", "lstrip": False, "rstrip": False, "normalized": False,
                                                  "single_word": False}}},
    {"name": "special_tokens_map loses", "config": {**FAST, "chat_template": ALTERNATING, "added_tokens_decoder": {
        "1": {"content": "<bos>", "special": True}}}, "map": {"eos_token": "<pad>"}},
    {"name": "tokens added by the config", "config": {**FAST, "bos_token": "what", "additional_special_tokens": ["zoe", {
        "__type": "AddedToken", "content": "?", "lstrip": False, "rstrip": False, "normalized": False, "single_word": False}],
        "chat_template": ALTERNATING, "added_tokens_decoder": {
            "1": {"content": "<bos>", "special": True}, "2": {"content": "<eos>", "special": True},
            "202": {"content": "<new>", "special": False}}}},
    {"name": "clean-up", "config": {**FAST, "clean_up_tokenization_spaces": True}},
    {"name": "Llama, ends by default", "config": LLAMA},
    {"name": "Llama, begin and end", "config": {**LLAMA, "add_eos_token": True}},
    {"name": "Llama, no ends", "config": {**LLAMA, "add_bos_token": False}},
]


class FrozenClock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2024, 7, 26)


def character(rng):
    first, last, _ = rng.choices(BLOCKS, [b[2] for b in BLOCKS])[0]
    return chr(rng.randint(first, last))


def texts():
    rng = random.Random(7)
    unicode = ["".join(character(rng) for _ in range(rng.randint(1, 24))) for _ in range(120)]
    words = [rng.choice(["", " ", "\n"]).join(rng.choices(WORDS, k=rng.randint(1, 9))) for _ in range(60)]
    spaced = [" ".join(rng.choices(WORDS, k=rng.randint(1, 9))) for _ in range(60)]
    return EDGES + unicode + words + spaced


def rendered(tokenizer, chat, prompt):
    try:
        text = tokenizer.apply_chat_template(chat, add_generation_prompt=prompt, tokenize=False)
    except jinja2.exceptions.TemplateError as error:
        return {"error": error.message}
    return {"text": text, "ids": tokenizer.apply_chat_template(chat, add_generation_prompt=prompt)}


def chats(tokenizer):
    if tokenizer.chat_template is None:
        return []
    return [{"chat": i, "prompt": prompt, **rendered(tokenizer, chat, prompt)}
            for i, chat in enumerate(CHATS) for prompt in (False, True)]


def decoded(tokenizer, ids):
    return {"ids": ids, "text": tokenizer.decode(ids), "skipped": tokenizer.decode(ids, skip_special_tokens=True)}


def describe(folder, texts):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    rng = random.Random(8)
    n = len(tokenizer)
    draws = [[rng.choice([rng.randrange(n), rng.randrange(60)]) for _ in range(rng.randint(1, 9))] for _ in range(40)]
    return {
        "size": n,
        "plain": [tokenizer.encode(t, add_special_tokens=False) for t in texts],
        "special": [tokenizer.encode(t) for t in texts[:40]],
        "decoded": [decoded(tokenizer, ids) for ids in draws + [[0, n + 5, 3]]],
        "chats": chats(tokenizer),
    }


def variant(tiny, spec, texts):
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(os.path.join(tiny, "tokenizer.json"), folder)
        for key, name in (("config", "tokenizer_config.json"), ("map", "special_tokens_map.json")):
            if key in spec:
                with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
                    json.dump(spec[key], f)
        return {**spec, **describe(folder, texts)}


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    tiny, smollm2 = sys.argv[1:]
    chat_template_utils.datetime = FrozenClock
    drawn = texts()
    made = ", ".join(f"{m.__name__} {m.__version__}" for m in (transformers, tokenizers, jinja2))
    lines = [
        {"made": "by make_expected.py with " + made, "texts": drawn, "conversations": CHATS},
        {"name": "tiny", **describe(tiny, drawn)},
        {"name": "smollm2", **describe(smollm2, drawn)},
        *(variant(tiny, spec, drawn[:40]) for spec in VARIANTS),
    ]
    for line in lines:
        print(json.dumps(line, separators=(",", ":")))


if __name__ == "__main__":
    main()
