"""Print how long the package's modules take, as a share of what others take for the same work.

Attention and the Transformer are compared with torch.nn, with the same weights, forward and backward;
writing with a cache with writing without one, and with nn.TransformerDecoder called step by step; byte-pair
encoding with the tokenizers library, which is written in Rust. Both sides of a row run on the same
machine in the same minute: five runs each, taken in turn, medians compared. A ratio below 1 means that
ours is faster. Nothing is asserted, since a busy machine scatters single runs by a fifth.
"""

import statistics
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import sphinx
import torch
from tokenizers import ByteLevelBPETokenizer
from torch import nn
from torch.utils.benchmark import Timer

from lesson_tf import figures
from lesson_tf.attention import MultiHeadAttention, causal_mask
from lesson_tf.corpus import torch_documentation
from lesson_tf.decoding import greedy
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


class StepByStep(nn.Module):
    """nn.TransformerDecoder between our embedding and our output layer, writing as its users make it write."""

    def __init__(self, model: Transformer):
        super().__init__()
        self.model = model
        self.core = TorchTransformer(model).core.eval()

    @torch.no_grad()
    def write(self, source_ids: torch.Tensor, length: int) -> torch.Tensor:
        """Take the most probable token, and pass the whole text through the decoder for the next one."""
        memory = self.model.encode(source_ids)
        token_ids = torch.full((len(source_ids), 1), 2)
        for _ in range(length):
            x = self.model.target_embedding(token_ids)
            mask = ~causal_mask(token_ids.shape[1])
            hidden = self.core.decoder(x, memory, tgt_mask=mask)
            new = self.model.output(hidden[:, -1:]).argmax(-1)
            token_ids = torch.cat((token_ids, new), dim=1)
        return token_ids[:, 1:]


def decoders(batch: int) -> dict[str, Callable[[int], object]]:
    """Make three ways to write `length` tokens with the same model; all write the same."""
    config = TransformerConfig(
        64, 64, d_model=128, heads=4, decoder_layers=4, d_ff=512, dropout=0.0, pad_id=None
    )
    model = Transformer(config).eval()
    source_ids = torch.randint(4, 64, (batch, 16))
    step_by_step = StepByStep(model)
    ways = {
        "with a cache": lambda length: greedy(model, source_ids, length, eos_id=None),
        "without": lambda length: greedy(model, source_ids, length, eos_id=None, use_cache=False),
        "nn.TransformerDecoder": lambda length: step_by_step.write(source_ids, length),
    }
    written = [[text.token_ids for text in ways[name](32)] for name in ("with a cache", "without")]
    assert written == [ways["nn.TransformerDecoder"](32).tolist()] * 2
    return ways


def decoding_comparisons(length: int = 256, batch: int = 4) -> Iterator[Comparison]:
    """Compare the time of a whole text: with a cache, without, and by nn.TransformerDecoder."""
    ways = decoders(batch)
    for other, name in (("without", "without"), ("nn.TransformerDecoder", "nn.TransformerDecoder")):
        yield Comparison(
            f"writing {length} tokens, {batch} texts, cache against {name}",
            lambda: ways["with a cache"](length),
            lambda other=other: ways[other](length),
            0.25,
        )


def draw_decoding(path: Path, batch: int = 4) -> None:
    """Draw the time a token against the length of the text, three runs each, taken in turn."""
    ways, lengths = decoders(batch), [16, 32, 64, 128, 256]
    runs = {name: [[] for _ in range(3)] for name in ways}
    for length in lengths:
        for run in range(3):
            for name, write in ways.items():
                timer = Timer("write(length)", globals={"write": write, "length": length})
                runs[name][run].append(1e3 * timer.timeit(1).median / length)
    figures.use_style()
    ax = figures.curves(
        lengths, runs, xlabel="tokens written", ylabel="ms a token", log_x=True, log_y=True
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    ax.figure.savefig(path)
    plt.close(ax.figure)


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
    yield from decoding_comparisons()
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
        print(f"{row} {ours / theirs:6.2f} {comparison.aim:5.2f}", flush=True)
    picture = Path("_build/bench/decoding.png")
    draw_decoding(picture)
    print(f"time a token against length: {picture}")


if __name__ == "__main__":
    # nn.Transformer says that it cannot use a fast path for padded batches; that is no news here.
    warnings.filterwarnings("ignore", message="enable_nested_tensor is True")
    main()
