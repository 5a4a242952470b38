"""Print how long the package's modules take, as a share of what others take for the same work.

Attention and the Transformer are compared with torch.nn, with the same weights, forward and backward;
byte-pair encoding with the tokenizers library, which is written in Rust. Both sides of a row run on the same
machine in the same minute: five runs each, taken in turn, medians compared. A ratio below 1 means that
ours is faster. Nothing is asserted, since a busy machine scatters single runs by a fifth.
"""

import statistics
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import sphinx
import torch
from tokenizers import ByteLevelBPETokenizer
from torch import nn
from torch.utils.benchmark import Timer

from lesson_tf.attention import MultiHeadAttention, causal_mask
from lesson_tf.corpus import torch_documentation
from lesson_tf.tokenization import BPETokenizer
from lesson_tf.torch_weights import copy_torch_weights
from lesson_tf.transformer import Transformer, TransformerConfig

RUNS = 5
SIZES = [(128, 64), (512, 512), (1024, 64)]  # (T, d_model)
HEADS = 8
BATCH = 4


@dataclass
class Comparison:
    """One row of the table: what is compared, ours, theirs, and the ratio that we aim at."""

    name: str
    ours: Callable[[], None]
    theirs: Callable[[], None]
    aim: float

    def medians(self) -> tuple[float, float]:
        """Time both in turn; return the median seconds of ours and of theirs."""
        timers = [Timer("step()", globals={"step": step}) for step in (self.ours, self.theirs)]
        once = max(timer.timeit(2).median for timer in timers)  # also warms up
        number = max(1, round(0.2 / once))
        runs = [[timer.timeit(number).median for timer in timers] for _ in range(RUNS)]
        ours, theirs = zip(*runs, strict=True)
        return statistics.median(ours), statistics.median(theirs)


def attention_comparisons(length: int, d_model: int) -> Iterator[Comparison]:
    """Compare MultiHeadAttention with nn.MultiheadAttention, with and without weights."""
    theirs = nn.MultiheadAttention(d_model, HEADS, batch_first=True)
    ours = MultiHeadAttention(d_model, HEADS)
    copy_torch_weights(ours, theirs)
    x = torch.randn(BATCH, length, d_model, requires_grad=True)
    mask = causal_mask(length)

    def step_of_ours(**arguments):
        return lambda: ours(x, **arguments)[0].sum().backward()

    def step_of_theirs(**arguments):
        return lambda: theirs(x, x, x, average_attn_weights=False, **arguments)[0].sum().backward()

    size = f"T={length}, d_model={d_model}"
    yield Comparison(
        f"attention, {size}, no weights", step_of_ours(), step_of_theirs(need_weights=False), 1.0
    )
    yield Comparison(
        f"attention, {size}, weights", step_of_ours(need_weights=True), step_of_theirs(), 1.2
    )
    yield Comparison(
        f"attention, {size}, weights, causal",
        step_of_ours(need_weights=True, mask=mask),
        step_of_theirs(attn_mask=~mask),
        1.4,
    )


class TorchTransformer(nn.Module):
    """nn.Transformer between our embeddings and our output layer: the same work as our Transformer."""

    def __init__(self, model: Transformer):
        super().__init__()
        c = model.config
        self.embed_source, self.embed_target = model.source_embedding, model.target_embedding
        self.output = model.output
        self.core = nn.Transformer(
            c.d_model,
            c.heads,
            c.encoder_layers,
            c.decoder_layers,
            c.d_ff,
            c.dropout,
            batch_first=True,
        )
        copy_torch_weights(model, self.core)

    def forward(self, source_ids, target_ids):
        """Mask padding and the future as our Transformer does."""
        padding, target_padding = source_ids == 0, target_ids == 0
        hidden = self.core(
            self.embed_source(source_ids),
            self.embed_target(target_ids),
            tgt_mask=~causal_mask(target_ids.shape[1]),
            src_key_padding_mask=padding,
            tgt_key_padding_mask=target_padding,
            memory_key_padding_mask=padding,
        )
        return self.output(hidden)


def training_comparison(d_model: int, batch: int, source: int, target: int) -> Comparison:
    """Compare a whole training step: forward, loss, backward, AdamW."""
    config = TransformerConfig(60, 14, d_model=d_model, heads=4, d_ff=4 * d_model, dropout=0.0)
    ours = Transformer(config)
    theirs = TorchTransformer(ours)
    source_ids = torch.randint(1, 60, (batch, source))
    source_ids[::2, -3:] = 0
    target_ids = torch.randint(1, 14, (batch, target))

    def step_of(model):
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)

        def step():
            logits = model(source_ids, target_ids[:, :-1])
            loss = nn.functional.cross_entropy(logits.flatten(0, 1), target_ids[:, 1:].flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

        return step

    name = f"training step, d_model={d_model}, batch={batch}, {source} to {target} tokens"
    return Comparison(name, step_of(ours), step_of(theirs), 1.0)


def tokenizer_comparisons(size: int = 1_000_000, merges: int = 2000) -> Iterator[Comparison]:
    """Compare the training of byte-pair encoding, then encoding, on documentation and code.

    Our tokenizer is made anew for each run, so that no word is known from the run before.
    """
    sources = sorted(Path(sphinx.__file__).parent.rglob("*.py"))
    text = "\n".join([*torch_documentation(), *(path.read_text("utf-8") for path in sources)])[
        :size
    ]
    ours = BPETokenizer.train(text, 256 + merges)

    def train_theirs() -> ByteLevelBPETokenizer:
        theirs = ByteLevelBPETokenizer()
        theirs.train_from_iterator([text], vocab_size=256 + merges, show_progress=False)
        return theirs

    theirs = train_theirs()
    size_and_merges = f"{len(text) / 1e6:.0f} MB, {merges:,} merges"
    yield Comparison(
        f"byte-pair encoding, training, {size_and_merges}",
        lambda: BPETokenizer.train(text, 256 + merges),
        train_theirs,
        40.0,
    )
    yield Comparison(
        f"byte-pair encoding, encoding, {size_and_merges}",
        lambda: BPETokenizer(ours.vocabulary, ours.merges).encode(text),
        lambda: theirs.encode(text),
        40.0,
    )


def comparisons() -> Iterator[Comparison]:
    """Go through the rows of the table."""
    for length, d_model in SIZES:
        yield from attention_comparisons(length, d_model)
    yield training_comparison(d_model=64, batch=64, source=24, target=11)
    yield training_comparison(d_model=128, batch=16, source=96, target=96)
    yield from tokenizer_comparisons()


def main() -> None:
    """Print the table, a row at a time."""
    torch.manual_seed(0)
    print(
        f"torch {torch.__version__}, {torch.get_num_threads()} threads, median of {RUNS} runs in turn"
    )
    print(f"{'the same work':58} {'ours':>9} {'theirs':>9} {'ratio':>6} {'aim':>5}")
    for comparison in comparisons():
        ours, theirs = comparison.medians()
        row = f"{comparison.name:58} {1e3 * ours:6.1f} ms {1e3 * theirs:6.1f} ms"
        print(f"{row} {ours / theirs:6.2f} {comparison.aim:5.1f}", flush=True)


if __name__ == "__main__":
    # nn.Transformer says that it cannot use a fast path for padded batches; that is no news here.
    warnings.filterwarnings("ignore", message="enable_nested_tensor is True")
    main()
