"""Order: what a translator loses when its encoder, or its decoder, is not told where tokens stand.

Three variants of the translator, alike but for the sinusoidal positions: added on both sides, in the decoder
alone, in the encoder alone.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import torch

from lesson_tf import translator
from lesson_tf.attention import _describe
from lesson_tf.dates import DateBatches, source_tokenizer, split, target_tokenizer
from lesson_tf.model_files import DATA, load_model, save_model
from lesson_tf.recipes import Recipe, read_results, train_and_time, write_results
from lesson_tf.transformer import Transformer

BOTH, NO_ENCODER, NO_DECODER = "both", "no encoder positions", "no decoder positions"
VARIANTS = (BOTH, NO_ENCODER, NO_DECODER)
SEEDS = (0, 1, 2)
STEPS = 2000
PER_STYLE = 100  # held-out examples in each style


def results(path: Path = DATA / "experiments" / "order.csv") -> list[dict[str, str]]:
    """Read what was measured: one row for each variant and seed, all values as text.

    `exact_match` is the share of held-out dates written rightly; `anagrams` the share whose digits are all
    right and stand in the wrong order.

    >>> sorted({row["variant"] for row in results()}) == sorted(VARIANTS)
    True
    """
    return read_results(path)


@cache
def load(path: Path = DATA / "experiments" / "order.safetensors") -> translator.Translator:
    """Load the translator whose encoder has no positions, the first seed's; its decoder has.

    >>> model = load()
    >>> model.translate("3 Jul 2021").text == model.translate("2 Jul 2031").text  # the same characters
    True
    """
    model, _ = load_model(path)
    return translator.Translator(leave_out_positions(model, NO_ENCODER))


def leave_out_positions(model: Transformer, variant: str) -> Transformer:
    """Let a Transformer with sinusoidal positions add none in the encoder, or none in the decoder; return it.

    Raises ValueError for another variant.

    >>> model = leave_out_positions(Transformer(translator.translator_config()), NO_ENCODER).eval()
    >>> ids = torch.tensor([[5, 6, 7]])
    >>> bool(torch.allclose(model.encode(ids.flip(1)), model.encode(ids).flip(1), atol=1e-5))
    True
    """
    if variant not in VARIANTS:
        raise ValueError(f"variant={_describe(variant)} was not tried; use one of {list(VARIANTS)}")
    sides = {NO_ENCODER: [model.source_embedding], NO_DECODER: [model.target_embedding]}
    for embedding in sides.get(variant, []):
        embedding.config = replace(embedding.config, positions="none")
    return model


def recipes(quick: bool = False) -> list[Recipe]:
    """List one training for each variant and seed."""
    seeds, steps, per_style = (SEEDS[:1], 100, 4) if quick else (SEEDS, STEPS, PER_STYLE)
    return [
        Recipe(f"order, {variant}, seed {seed}", train_variant, (variant, seed, steps, per_style))
        for seed in seeds
        for variant in VARIANTS
    ]


def train_variant(
    folder: Path, variant: str, seed: int, steps: int = STEPS, per_style: int = PER_STYLE
) -> dict[str, str]:
    """Train one variant; keep its weights in the folder, and return how it fares on days never seen."""
    torch.manual_seed(seed)
    model = leave_out_positions(Transformer(translator.translator_config()), variant)
    batches = DateBatches(split().train, source_tokenizer(), target_tokenizer(), 64, seed)
    file = f"order-{variant.replace(' ', '-')}-{seed}-{steps}"
    history, seconds = train_and_time(folder / f"{file}.checkpoint", model, batches, steps)
    save_model(folder / f"{file}.safetensors", model, torch.float16)
    examples = translator.held_out_examples(per_style)
    answers = translator.Translator(model.eval()).translate_all([each.text for each in examples])
    exact = sum(each.iso == answer for each, answer in zip(examples, answers, strict=True))
    anagrams = sum(
        each.iso != answer and sorted(each.iso) == sorted(answer)
        for each, answer in zip(examples, answers, strict=True)
    )
    return {
        "variant": variant,
        "seed": str(seed),
        "steps": str(steps),
        "exact_match": f"{exact / len(examples):.4f}",
        "anagrams": f"{anagrams / len(examples):.4f}",
        "last_loss": f"{sum(history.loss[-100:]) / len(history.loss[-100:]):.4f}",
        "seconds": f"{seconds:.0f}",
    }


def publish(folder: Path, data: Path, measured: Sequence[dict[str, str]], command: str) -> None:
    """Write the results, and the weights of the first translator without positions in its encoder."""
    write_results(data / "order.csv", measured, command)
    steps = measured[0]["steps"]
    shipped = folder / f"order-{NO_ENCODER.replace(' ', '-')}-{SEEDS[0]}-{steps}.safetensors"
    (data / "order.safetensors").write_bytes(shipped.read_bytes())
