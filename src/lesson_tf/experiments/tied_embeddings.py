"""Tied embeddings: one matrix for reading and writing tokens, or two, in small language models trained alike.

Two matrices are more parameters than one. The third variant has two and is narrower, so that it has about as
many parameters as the tied model.
"""

from collections.abc import Sequence
from pathlib import Path

import torch

from lesson_tf import language_model
from lesson_tf.attention import _describe
from lesson_tf.corpus import check_torch_documentation, split_texts, torch_documentation
from lesson_tf.model_files import DATA
from lesson_tf.recipes import Recipe, read_results, train_and_time, write_results
from lesson_tf.transformer import LanguageModel, TransformerConfig

WIDTHS = {"tied": 64, "untied": 64, "untied, narrower": 48}  # d_model of each variant
VARIANTS = tuple(WIDTHS)
SEEDS = (0, 1, 2, 3, 4)
STEPS = 1000
LENGTH = 64  # tokens in a window


def results(path: Path = DATA / "experiments" / "tied_embeddings.csv") -> list[dict[str, str]]:
    """Read what was measured: one row for each variant and seed, all values as text.

    `held_out_loss` is in nats a token, on texts that no training has seen.

    >>> sorted({row["variant"] for row in results()})
    ['tied', 'untied', 'untied, narrower']
    """
    return read_results(path)


def recipes(quick: bool = False) -> list[Recipe]:
    """List one training for each variant and seed."""
    seeds, steps = (SEEDS[:1], 30) if quick else (SEEDS, STEPS)
    return [
        Recipe(f"tied_embeddings, {variant}, seed {seed}", train_variant, (variant, seed, steps))
        for seed in seeds
        for variant in VARIANTS
    ]


def train_variant(folder: Path, variant: str, seed: int, steps: int = STEPS) -> dict[str, str]:
    """Train one language model on torch's documentation, and return its loss on what was held out."""
    if variant not in VARIANTS:
        raise ValueError(f"variant={_describe(variant)} was not tried; use one of {VARIANTS}")
    texts = torch_documentation()
    check_torch_documentation(texts)
    training, held_out = split_texts(texts)
    tokenizer = language_model.load().tokenizer
    torch.manual_seed(seed)
    model = LanguageModel(
        TransformerConfig(
            source_vocab=len(tokenizer),
            target_vocab=len(tokenizer),
            d_model=WIDTHS[variant],
            heads=4,
            decoder_layers=2,
            d_ff=4 * WIDTHS[variant],
            norm_first=True,
            positions="rotary",
            pad_id=None,
            tie_embeddings=variant == "tied",
        )
    )
    writer = language_model.Writer(model, tokenizer)
    batches = language_model.TextBatches(
        [tokenizer.encode(text) for text in training], writer.end_id, LENGTH, 16, seed
    )
    checkpoint = folder / f"tied_embeddings-{variant.replace(', ', '-')}-{seed}-{steps}.checkpoint"
    history, seconds = train_and_time(checkpoint, model, batches, steps, weight_decay=0.1)
    loss = language_model.held_out_loss(model, [writer.sequence(t) for t in held_out], LENGTH)
    return {
        "variant": variant,
        "seed": str(seed),
        "d_model": str(WIDTHS[variant]),
        "steps": str(steps),
        "parameters": str(sum(weight.numel() for weight in model.parameters())),
        "training_loss": f"{sum(history.loss[-100:]) / len(history.loss[-100:]):.4f}",
        "held_out_loss": f"{loss:.4f}",
        "seconds": f"{seconds:.0f}",
    }


def publish(folder: Path, data: Path, measured: Sequence[dict[str, str]], command: str) -> None:
    """Write the results; no weights ship."""
    write_results(data / "tied_embeddings.csv", measured, command)
