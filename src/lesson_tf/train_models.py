"""Train the models that ship with the course, from fixed seeds and numbers of steps: `make models`.

Every training runs on one thread, since its last digits depend on their number, and goes on from its checkpoint
after an interruption. As many run side by side as there are cores.
At the end, weights, measured results and a card for each model stand in the package's data folder.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from lesson_tf import family, language_model, translator
from lesson_tf.byte_pair_encoding import BPETokenizer
from lesson_tf.corpus import check_torch_documentation, split_texts, torch_documentation
from lesson_tf.date_styles import STYLES
from lesson_tf.dates import DateBatches, source_tokenizer, split, target_tokenizer
from lesson_tf.model_files import DATA, load_model, save_model
from lesson_tf.n_gram import NGram
from lesson_tf.recipes import Recipe, cook_all, train_and_time, write_results
from lesson_tf.transformer import LanguageModel, Transformer

TRANSLATOR_SEEDS = (0, 1, 2)  # the first is shipped, the others show the spread
TRANSLATOR_STEPS = 5500
FAMILY_STEPS = 2000
LANGUAGE_MODEL_STEPS = 2000
VOCABULARY = 1024
PER_STYLE = 400  # held-out examples in each style


def recipes() -> dict[str, list[Recipe]]:
    """List every training by the model that it serves, the longest first."""
    translators = [
        Recipe(f"translator, seed {seed}", train_translator, (seed,)) for seed in TRANSLATOR_SEEDS
    ]
    members = [
        Recipe(f"family, d_model {d_model}, heads {heads}", train_member, (d_model, heads))
        for d_model, heads in reversed(family.MEMBERS)
    ]
    return {
        "language_model": [Recipe("language model", train_language_model, ())],
        "translator": translators,
        "family": members,
    }


def train_translator(
    folder: Path,
    seed: int = 0,
    d_model: int = 64,
    heads: int = 4,
    steps: int = TRANSLATOR_STEPS,
    name: str = "translator",
    per_style: int = PER_STYLE,
) -> dict[str, str]:
    """Train one translator; keep its weights in the folder, and return its exact match by style."""
    torch.manual_seed(seed)
    source, target = source_tokenizer(), target_tokenizer()
    config = translator.translator_config(d_model, heads)
    model = Transformer(config)
    batches = DateBatches(split().train, source, target, batch_size=64, seed=seed)
    file = f"{name}-{d_model}x{heads}-{seed}"
    history, seconds = train_and_time(folder / f"{file}.checkpoint", model, batches, steps)
    save_model(folder / f"{file}.safetensors", model)
    examples = translator.held_out_examples(per_style)
    found = translator.exact_match(translator.Translator(model.eval(), source, target), examples)
    return {
        "d_model": str(d_model),
        "heads": str(heads),
        "seed": str(seed),
        "parameters": str(sum(weight.numel() for weight in model.parameters())),
        "steps": str(steps),
        "last loss": f"{np.mean(history.loss[-100:]):.5f}",
        "seconds": f"{seconds:.0f}",
        **{f"exact match: {style}": f"{share:.5f}" for style, share in found.items()},
    }


def train_member(
    folder: Path, d_model: int, heads: int, steps: int = FAMILY_STEPS, per_style: int = PER_STYLE
) -> dict[str, str]:
    """Train one member of the family; keep its attention for the fixed sentences in the folder."""
    measured = train_translator(folder, 0, d_model, heads, steps, "family", per_style)
    model, _ = load_model(folder / f"family-{d_model}x{heads}-0.safetensors")
    member = translator.Translator(model)
    arrays = {}
    for place, sentence in enumerate(family.SENTENCES):
        seen = member.translate(sentence)
        key = f"{d_model}x{heads}/{place}"
        for kind in family.KINDS:
            weights = getattr(seen, f"{kind}_attention")
            arrays[f"{key}/{kind}"] = weights.numpy().astype(np.float16)
        texts = ["".join(seen.source_tokens), " ".join(seen.target_tokens)]
        arrays[f"{key}/texts"] = np.array(texts)
    np.savez_compressed(folder / f"family-{d_model}x{heads}.npz", **arrays)
    return measured


def train_language_model(folder: Path, steps: int = LANGUAGE_MODEL_STEPS) -> dict[str, str]:
    """Train the language model; keep weights and tokenizer in the folder, and return its loss and the baselines'."""
    texts = torch_documentation()
    check_torch_documentation(texts)
    training, validation = split_texts(texts)
    tokenizer = BPETokenizer.train(training, VOCABULARY, special_tokens=(language_model.END,))
    torch.manual_seed(0)
    writer = language_model.Writer(
        LanguageModel(language_model.language_model_config(VOCABULARY)), tokenizer
    )
    sequences = [writer.sequence(text) for text in training]
    batches = language_model.TextBatches(
        [tokenizer.encode(text) for text in training],
        writer.end_id,
        length=language_model.LONGEST_CONTEXT,
        batch_size=16,
        seed=0,
    )
    checkpoint = folder / "language_model.checkpoint"
    _, seconds = train_and_time(checkpoint, writer.model, batches, steps, weight_decay=0.1)
    save_model(folder / "language_model" / "weights.safetensors", writer.model, torch.float16)
    tokenizer.save(folder / "language_model")
    held_out = [writer.sequence(text) for text in validation]
    rounded, _ = load_model(folder / "language_model" / "weights.safetensors")
    losses = {"language model": language_model.held_out_loss(rounded, held_out)}
    for name, order in (("bigram", 2), ("5-gram", 5)):
        losses[name] = NGram(order, VOCABULARY).fit(sequences).loss(held_out)
    return {
        "parameters": str(sum(weight.numel() for weight in writer.model.parameters())),
        "steps": str(steps),
        "training tokens": str(sum(map(len, sequences))),
        "held-out tokens": str(sum(map(len, held_out))),
        "seconds": f"{seconds:.0f}",
        **{f"loss: {name}": f"{loss:.4f}" for name, loss in losses.items()},
    }


# What the translator fails at: no right answer exists, or two do.
FAILURES = (
    "Feb 30, 2024",
    "令和0年1月1日",
    "昭和65年1月1日",
    "05/03/2024",
    "5 March 24",
    "tomorrow",
)


def publish_translator(folder: Path, data: Path, results: Sequence[dict[str, str]]) -> None:
    """Write the weights of the first seed, the results of all, and the card."""
    data.mkdir(parents=True, exist_ok=True)
    first = results[0]
    shipped = folder / f"translator-{first['d_model']}x{first['heads']}-{first['seed']}.safetensors"
    (data / "translator.safetensors").write_bytes(shipped.read_bytes())
    write_results(data / "translator.csv", results, "make models")
    model = translator.load(data / "translator.safetensors")
    answers = [model.translate(text) for text in FAILURES]
    failures = [
        f"| `{text}` | `{answer.text}` | {answer.probability:.3f} |"
        for text, answer in zip(FAILURES, answers, strict=True)
    ]
    shares = [
        [float(row[f"exact match: {style}"]) for row in results] for style in ("all", *STYLES)
    ]
    by_style = [
        f"| {style} | {100 * found[0]:.2f} % | {100 * min(found):.2f} to {100 * max(found):.2f} % |"
        for style, found in zip(("all", *STYLES), shares, strict=True)
    ]
    card = f"""# Translator: dates as people write them, to ISO 8601

An encoder-decoder Transformer on characters: d_model {results[0]["d_model"]}, {results[0]["heads"]} heads, 2 + 2 layers,
{int(results[0]["parameters"]):,} parameters, float32. Licence: MIT.

**Data.** Every day from 1873-01-01 to 2100-12-31 in {len(STYLES)} styles, English and Japanese, drawn anew for each batch
(`lesson_tf.dates`); 80 % of the days, none of which is among the days measured below. First and last years of eras,
which may have seven days, are drawn more often.

**Training.** {int(results[0]["steps"]):,} steps of 64 dates, AdamW, warm-up and cosine, from seed 0, on one thread;
{", ".join(row["seconds"] for row in results)} seconds of one core for the seeds {", ".join(row["seed"] for row in results)}.

**Exact match on days never seen**, {PER_STYLE} dates in each style. The second column is the model that ships, the third the
span of the {len(results)} seeds.

| style | shipped | {len(results)} seeds |
| --- | --- | --- |
{chr(10).join(by_style)}

**Known failures.** The model always answers, and a probability near 1 is no promise. What is no date, and what has two
readings:

| text | answer | probability |
| --- | --- | --- |
{chr(10).join(failures)}
"""
    (data / "translator.md").write_text(card, encoding="utf-8")


def publish_family(folder: Path, data: Path, results: Sequence[dict[str, str]]) -> None:
    """Write attention and results of all members, and the card."""
    (data / "family").mkdir(parents=True, exist_ok=True)
    arrays = {}
    for d_model, heads in family.MEMBERS:
        with np.load(folder / f"family-{d_model}x{heads}.npz") as file:
            arrays |= dict(file)
    np.savez_compressed(data / "family" / "attention.npz", **arrays)
    ordered = sorted(results, key=lambda row: (int(row["d_model"]), int(row["heads"])))
    write_results(data / "family" / "results.csv", ordered, "make models")
    rows = [
        f"| {row['d_model']} | {row['heads']} | {int(row['parameters']):,} | "
        f"{100 * float(row['exact match: all']):.2f} % |"
        for row in ordered
    ]
    card = f"""# Family: one translator for each d_model and number of heads

The translator's task, data and code, {FAMILY_STEPS:,} steps of 64 dates each, seed 0, d_ff = 4 d_model. Not the weights ship
but what the course shows: attention for {len(family.SENTENCES)} sentences, and the exact match on days never seen
({PER_STYLE} dates in each style). One seed each: small differences mean nothing. Licence: MIT.

| d_model | heads | parameters | exact match |
| --- | --- | --- | --- |
{chr(10).join(rows)}

**Known failures.** Narrow models are often wrong; their attention is shown all the same. All fail as the translator does.
"""
    (data / "family" / "card.md").write_text(card, encoding="utf-8")


def publish_language_model(folder: Path, data: Path, results: Sequence[dict[str, str]]) -> None:
    """Write weights, tokenizer, results and the card."""
    target = data / "language_model"
    target.mkdir(parents=True, exist_ok=True)
    for file in sorted((folder / "language_model").iterdir()):
        (target / file.name).write_bytes(file.read_bytes())
    write_results(target / "results.csv", results, "make models")
    [row] = results
    card = f"""# Language model: torch's documentation, continued

A decoder-only Transformer on byte-pair tokens: d_model 128, 4 heads, 4 layers, rotary positions,
{int(row["parameters"]):,} parameters, float16 on disk. Licence of the weights: MIT; the text it learned from is torch's (BSD-3-Clause).

**Data.** The documentation that comes with torch {torch.__version__.split("+")[0]}: {int(row["training tokens"]):,} tokens to train
on, {int(row["held-out tokens"]):,} held out by text, near-copies kept on one side. Vocabulary of {VOCABULARY:,}, trained on the same texts.

**Training.** {int(row["steps"]):,} steps of 16 windows of {language_model.LONGEST_CONTEXT} tokens, AdamW, warm-up and cosine, seed 0, on one
thread, {row["seconds"]} seconds of one core.

**Loss on held-out texts**, nats a token:

| model | loss |
| --- | --- |
| this model | {row["loss: language model"]} |
| 5-gram, Kneser-Ney | {row["loss: 5-gram"]} |
| bigram, Kneser-Ney | {row["loss: bigram"]} |

**Known failures.** It writes in the manner of documentation and knows nothing: functions, arguments and numbers are often
invented. Beyond {language_model.LONGEST_CONTEXT} tokens it forgets the beginning. It speaks English and code alone.
"""
    (target / "card.md").write_text(card, encoding="utf-8")


PUBLISHERS = {
    "translator": publish_translator,
    "family": publish_family,
    "language_model": publish_language_model,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Train the models that are named, or all, and publish each one when its trainings are done."""
    parser = argparse.ArgumentParser(prog="make models", description=__doc__)
    parser.add_argument(
        "models", nargs="*", choices=[[], *PUBLISHERS], help="all, if none is named"
    )
    parser.add_argument("--work", type=Path, default=Path("_build/models"), help="for checkpoints")
    parser.add_argument("--data", type=Path, default=DATA, help="where the results go")
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count(), help="trainings side by side"
    )
    chosen = parser.parse_args(arguments)
    chosen.work.mkdir(parents=True, exist_ok=True)
    wanted = {m: cook for m, cook in recipes().items() if m in (chosen.models or PUBLISHERS)}
    for model, results in cook_all(wanted, chosen.work, chosen.workers):
        PUBLISHERS[model](chosen.work, chosen.data, results)


if __name__ == "__main__":
    main()
