"""Writes the reference embeddings of the tests: by transformers and torch, on the CPU.

    python reference.py tiny            a small random encoder, and what it says: tests/tiny/, tests/tiny.json
    python reference.py minilm FOLDER   what all-MiniLM-L6-v2 in FOLDER says: tests/minilm.json

Written with torch 2.15.0 and transformers 5.24.0.
"""

import json
import os
import sys

import torch
from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel, BertTokenizerFast

HERE = os.path.dirname(os.path.abspath(__file__))
STEPS = " ".join(f"Step {i}: pour {3 * i} ml into the glass, then stir." for i in range(1, 60))
TEXTS = [
    "",
    " \n\t ",
    "a",
    "What is the capital of Peru?",
    "Translate into French: the garden gate was open.",
    "def area(r):\n    return 3.14159 * r ** 2\n\n# Why is area(2) not exact?",
    "Ünïcödé, naïve café; 東京の天気は？ Привет! 🙂🙂",
    "[CLS] a prompt that [SEP] names special tokens [MASK]",
    "x" * 150 + " and http://example.org/a?b=1&c=2#d",
    "1,234,567.89 + 0.11 = ?",
    "Zero\u200bwidth, e\u0301 combined, \u00a0no break, \ufffd replaced, \u0007 bell",
    STEPS,
]


def embed(model, tokenizer, text, max_tokens):
    batch = tokenizer(text, truncation=True, max_length=max_tokens, return_tensors="pt")
    with torch.inference_mode():
        states = model(**batch).last_hidden_state[0]
    vector = torch.nn.functional.normalize(states.mean(0), dim=0)
    return [round(x, 6) for x in vector.tolist()], len(batch["input_ids"][0])


def write(name, model, tokenizer, cases):
    lines = []
    for text, max_tokens in cases:
        embedding, n_tokens = embed(model, tokenizer, text, max_tokens)
        lines.append(json.dumps({"text": text, "max_tokens": max_tokens, "n_tokens": n_tokens, "embedding": embedding}))
    with open(os.path.join(HERE, name), "w") as file:
        file.write("[\n" + ",\n".join(lines) + "\n]\n")


def tiny():
    folder = os.path.join(HERE, "tiny")
    os.makedirs(folder, exist_ok=True)
    signs = "abcdefghijklmnopqrstuvwxyz0123456789.,:;?!()[]{}=+-*/#'\"<>&_éü東京"
    words = ["the", "a", "of", "what", "is", "step", "pour", "into", "translate", "##ing", "##ed", "##er", "return"]
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *dict.fromkeys([*words, *signs, *["##" + s for s in signs[:36]]])]
    with open(os.path.join(folder, "vocab.txt"), "w") as file:
        file.write("\n".join(vocabulary) + "\n")
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=24, num_hidden_layers=2, num_attention_heads=3,
        intermediate_size=40, max_position_embeddings=64, initializer_range=0.4,
    )
    model = BertModel(config, add_pooling_layer=False).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("bias"):
                weight.normal_(0.0, 0.3)
            elif "LayerNorm" in name:
                weight.add_(0.2 * torch.randn_like(weight))
    model.save_pretrained(folder)
    tokenizer = BertTokenizerFast(vocab={token: i for i, token in enumerate(vocabulary)})
    write("tiny.json", model, tokenizer, [(text, n) for text in TEXTS for n in (16, 64)])
    print(sorted(os.listdir(folder)))


def minilm(folder):
    model = AutoModel.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    write("minilm.json", model, tokenizer, [(text, 128) for text in TEXTS] + [(STEPS, 256)])


if __name__ == "__main__":
    tiny() if sys.argv[1] == "tiny" else minilm(sys.argv[2])
