#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Hugging Face tokenizers as the oracle of src/text/tokenizer.

  golden_tokenizer.py small                   trains a small vocabulary for every pre-tokenizer and writes
                                              tests/golden/tokenizer/ (committed)
  golden_tokenizer.py big DIR [FILE...]       writes DIR for the test that DEEPWELL_TOKENIZERS=DIR switches on:
                                              24,000 lines and what each tokenizer.json or .gguf makes of them
  golden_tokenizer.py compare PROGRAM FILE... the same lines through bench's tokenizer_bench, token for token

Needs the packages of scripts/requirements-test.txt.
"""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

import tokenizer_corpus
import unicode_classes

ROOT = pathlib.Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests/golden/tokenizer"
CASED = "".join(chr(a) if a == b else chr(a) + "-" + chr(b) for a, b in unicode_classes.cased_ranges())
EAST_ASIAN = "[一-龥ࠀ-一가-퟿]+"
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)"
LINE_WORDS = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*"
              r"|\s*[\r\n]+|\s+(?!\S)|\s+")
PATTERNS = {
    "gpt-2": [GPT2 + r"|\s+"],
    "default": [r"[\p{P}\$\+<=>\^~\|]+", GPT2 + r"|\s+", r"\p{N}+", "[0-9][0-9][0-9]"],
    "deepseek-llm": ["[\r\n]", rf"\s?[{CASED}]+", r"\s?[!-/:-~！-／：-～‘-‟　-。]+", r"\s+$", EAST_ASIAN, r"\p{N}+"],
    "deepseek-coder": ["[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", EAST_ASIAN, r"\p{N}"],
    "deepseek-v3": [r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+",
                    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"""
                    r"| ?[\p{P}\p{S}]+[" "\r\n" r"]*|\s*[" "\r\n" r"]+|\s+(?!\S)|\s+"],
    "qwen2": [LINE_WORDS % ""],
    "llama-bpe": [LINE_WORDS % "{1,3}"],
    "smollm": None,
    # Not a pattern that Deepwell knows: these run on its general engine.
    "other-regex": [r"\p{Lu}?\p{Ll}+|\p{L}+|[0-9]{2}|\s+|[^\s\p{L}0-9]+"],
}
NEVER_IN_UTF8 = [0xC0, 0xC1, *range(0xF5, 0x100)]
SPECIAL = ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<|im_end|>"]
USER_DEFINED = ["<think>", "</think>", "<｜User｜>"]


def pre_tokenizer(patterns):
    if patterns is None:
        return pre_tokenizers.Sequence([pre_tokenizers.Digits(True), pre_tokenizers.ByteLevel(False, use_regex=True)])
    splits = [pre_tokenizers.Split(Regex(p), "isolated") for p in patterns]
    return pre_tokenizers.Sequence(splits + [pre_tokenizers.ByteLevel(False, use_regex=False)])


def byte_letter(byte):
    own = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    return chr(byte) if byte in own else chr(0x100 + [b for b in range(256) if b not in own].index(byte))


def train(name):
    tokenizer = Tokenizer(models.BPE(ignore_merges=name == "llama-bpe"))
    tokenizer.pre_tokenizer = pre_tokenizer(PATTERNS[name])
    tokenizer.decoder = decoders.ByteLevel()
    lacking = NEVER_IN_UTF8 if name in ("deepseek-llm", "deepseek-coder") else []
    alphabet = [byte_letter(b) for b in range(256) if b not in lacking]
    trainer = trainers.BpeTrainer(vocab_size=1800, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False,
                                  limit_alphabet=256 - len(lacking))
    tokenizer.train_from_iterator([tokenizer_corpus.prose(400_000, 3)] + tokenizer_corpus.cases(2000, 5), trainer)
    tokenizer.add_tokens([AddedToken(t, special=False) for t in USER_DEFINED + [byte_letter(b) for b in lacking]])
    return tokenizer


def from_gguf(path):
    """The vocabulary of a GGUF file as the tokenizer it was converted from. Knows the pre-tokenizers above."""
    from gguf import GGUFReader

    fields = GGUFReader(path).fields
    value = lambda key: fields["tokenizer.ggml." + key].contents()
    tokens, types = value("tokens"), value("token_type")
    vocab = {t: i for i, t in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab, [tuple(m.split(" ", 1)) for m in value("merges")]))
    tokenizer.pre_tokenizer = pre_tokenizer(PATTERNS[value("pre")])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([t for t, kind in zip(tokens, types) if kind == 3])
    tokenizer.add_tokens([t for t, kind in zip(tokens, types) if kind == 4])
    return tokenizer


def load(path):
    return from_gguf(path) if path.endswith(".gguf") else Tokenizer.from_file(path)


def ids_of(tokenizer, lines):
    # One by one: a long line must not pay for padding, and the order is the file's.
    return [tokenizer.encode(line, add_special_tokens=False).ids for line in lines]


def fnv1a(ids):
    value = 0xCBF29CE484222325
    for i in ids:
        for byte in i.to_bytes(4, "little"):
            value = (value ^ byte) * 0x100000001B3 % 2**64
    return f"{value:016x}"


def dump(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8", newline="")


def expect(name, tokenizer, lines):
    ids = ids_of(tokenizer, lines)
    dump(GOLDEN / f"{name}.expected.json", {"hashes": [fnv1a(i) for i in ids], "tokens": sum(map(len, ids)), "first": ids[:60]})


def small():
    GOLDEN.mkdir(parents=True, exist_ok=True)
    lines = tokenizer_corpus.cases(1800, 11)
    dump(GOLDEN / "lines.json", lines)
    for name in PATTERNS:
        tokenizer = train(name)
        dump(GOLDEN / f"{name}.tokenizer.json", json.loads(tokenizer.to_str()))
        expect(name, tokenizer, lines)
        print(name, tokenizer.get_vocab_size(), "tokens in the vocabulary")
        if name == "qwen2":  # as in Qwen's own files, whose distills go without
            tokenizer.normalizer = normalizers.NFC()
            expect("qwen2-nfc", tokenizer, lines)


def big(folder, files):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    lines = tokenizer_corpus.cases(24_000, 7)
    dump(folder / "lines.json", lines)
    for number, file in enumerate(files):
        tokenizer = load(file)
        name = f"{number}-{pathlib.Path(file).stem}"
        if file.endswith(".json"):
            shutil.copy(file, folder / f"{name}.tokenizer.json")
        else:
            (folder / f"{name}.tokenizer.json").write_text(tokenizer.to_str(), encoding="utf-8", newline="")
        ids = ids_of(tokenizer, lines)
        dump(folder / f"{name}.expected.json", {"hashes": [fnv1a(i) for i in ids], "tokens": sum(map(len, ids)), "first": ids[:60]})
        print(name, sum(map(len, ids)), "tokens in", len(lines), "lines")


def compare(program, files):
    lines = tokenizer_corpus.cases(24_000, 7)
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        cases = pathlib.Path(folder) / "cases.json"
        dump(cases, lines)
        for file in files:
            tokenizer = train(file) if file in PATTERNS else load(file)
            path = pathlib.Path(folder) / "tokenizer.json"
            path.write_text(tokenizer.to_str(), encoding="utf-8", newline="")
            use = file if file.endswith(".json") else str(path)
            got = subprocess.run([program, "--ids", use, str(cases)], check=True, capture_output=True, text=True).stdout
            got = [json.loads(line) for line in got.splitlines()]
            want = ids_of(tokenizer, lines)
            differ = [i for i in range(len(lines)) if i >= len(got) or got[i] != want[i]]
            print(f"{file}: {len(lines)} lines, {sum(map(len, want))} tokens, {len(differ)} lines differ")
            for i in differ[:5]:
                print("  ", ascii(lines[i])[:300], "\n   want", want[i][:40], "\n   got ", got[i][:40])
            bad += len(differ)
    return 1 if bad else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["small"] and len(sys.argv) == 2:
        small()
    elif sys.argv[1:2] == ["big"] and len(sys.argv) > 2:
        big(sys.argv[2], sys.argv[3:])
    elif sys.argv[1:2] == ["compare"] and len(sys.argv) > 3:
        sys.exit(compare(sys.argv[2], sys.argv[3:]))
    else:
        sys.exit(__doc__)
