"""What is true of each choice in the quizzes on positions, computed without the text of the quizzes."""

from functools import cache

import torch
from quizzes import truth
from torch.nn.functional import cosine_similarity

from lesson_tf.attention import causal_mask, scaled_dot_product_attention
from lesson_tf.experiments import order, positions
from lesson_tf.positional_encoding import alibi_slopes, rotary, sinusoidal
from lesson_tf.transformer import LanguageModel, Transformer, TransformerConfig
from lesson_tf.transformer_layers import mask_past_and_padding, relative_positions

torch.set_num_threads(1)  # small models gain nothing from more, and wait for it on a busy machine


def decoder(kind: str, layers: int) -> LanguageModel:
    """Make an untrained decoder-only model in float64, so that rounding decides nothing."""
    torch.manual_seed(0)
    sizes = {"d_model": 16, "heads": 2, "d_ff": 32, "decoder_layers": layers, "dropout": 0.0}
    return LanguageModel(TransformerConfig(9, 9, positions=kind, pad_id=None, **sizes)).double()


@truth("positional_encoding/why_order", 1)
def swapped_halves_keep_the_mean() -> dict[str, bool]:
    """Follow each token of an encoder without positions to its new place."""
    torch.manual_seed(0)
    model = Transformer(TransformerConfig(9, 9, positions="none", dropout=0.0)).double().eval()
    ids, swapped = torch.arange(1, 9)[None], torch.tensor([4, 5, 6, 7, 0, 1, 2, 3])
    before, after = model.encode(ids)[0], model.encode(ids[:, swapped])[0]
    changed = (after - before[swapped]).abs().amax(dim=-1) > 1e-9
    mean_stays = torch.allclose(before.mean(dim=0), after.mean(dim=0))
    return {
        "a": bool(changed.any()) and not changed.all(),
        "b": bool(changed.all()),
        "c": mean_stays,
    }


@truth("positional_encoding/why_order", 2)
def equal_bags_have_one_answer() -> dict[str, bool]:
    """Ask the shipped translator whose encoder has no positions."""
    one, other = (order.load().translate(text) for text in ("5 May 2005", "5 May 2050"))
    right = (one.text, other.text) == ("2005-05-05", "2050-05-05")
    unsure = max(one.probability, other.probability) < 0.1
    return {"a": one.text == other.text, "b": right, "c": one.text != other.text and unsure}


@truth("positional_encoding/why_order", 3)
def two_layers_see_the_order_of_the_past() -> dict[str, bool]:
    """Exchange earlier tokens under one to four decoder layers without positions."""
    one, other = torch.tensor([[1, 2, 3, 4, 5]]), torch.tensor([[3, 1, 2, 4, 5]])
    models = [decoder("none", layers).eval() for layers in (1, 2, 3, 4)]
    differs = [not torch.allclose(model(one)[0, -1], model(other)[0, -1]) for model in models]
    return {"a": all(differs), "b": differs == [False, True, True, True], "c": not any(differs)}


@truth("positional_encoding/sinusoidal", 1)
def a_dot_product_hides_the_sign_of_the_offset() -> dict[str, bool]:
    """Compare the dot products of the table."""
    table = sinusoidal(800, 64).double()
    wanted = table[0] @ table[50]
    ahead, back = (abs(table[700] @ table[at] - wanted) < 1e-4 for at in (750, 650))
    return {
        "a": bool(ahead and not back),
        "b": bool(not ahead and not back),
        "c": bool(ahead & back),
    }


@truth("positional_encoding/sinusoidal", 2)
def sines_before_cosines_rename_columns() -> dict[str, bool]:
    """Put all even columns before the odd ones, and look for what the usual table had."""
    torch.manual_seed(0)
    table = sinusoidal(400, 8).double()
    order = [*range(0, 8, 2), *range(1, 8, 2)]
    other, matrix = table[:, order], torch.randn(8, 5).double()
    renamed = torch.allclose(other @ matrix[order], table @ matrix)
    products = torch.allclose(other @ other.T, table @ table.T)
    shift = torch.linalg.lstsq(other[:200], other[3:203]).solution
    one_matrix = torch.allclose(other[200:-3] @ shift, other[203:], atol=1e-5)
    return {"a": renamed and products and one_matrix, "b": not one_matrix, "c": not products}


@truth("positional_encoding/sinusoidal", 3)
def every_position_has_a_vector_of_one_length() -> dict[str, bool]:
    """Compute position 10,000 beside the first hundred."""
    trained, [far] = sinusoidal(100, 64).norm(dim=-1), sinusoidal(1, 64, start=10_000)
    exists = bool(far.isfinite().all())
    return {
        "a": bool(far.norm() > 1.01 * trained.max()),
        "b": exists and torch.allclose(far.norm(), trained.mean()),
        "c": not exists,
    }


@truth("positional_encoding/learned_and_relative", 1)
def rotary_models_do_not_feel_a_move() -> dict[str, bool]:
    """Run the layers of a rotary model with their first token at position 0 and at position 100."""
    model, ids = decoder("rotary", 2).eval(), torch.tensor([[1, 5, 2, 7, 3]])
    embedded = model.embedding(ids)
    outputs = []
    for start in (0, 100):
        x, seen = embedded, []
        turned = relative_positions(model.config, x, start)
        for layer in model.layers:
            x = layer(x, mask_past_and_padding(ids, ids.shape[1], None), **turned)
            seen.append(x)
        outputs.append(torch.stack(seen)[:, 0])  # (layers, tokens, d_model)
    changed = (outputs[0] - outputs[1]).abs().amax(dim=-1) > 1e-9
    return {
        "a": not changed.any(),
        "b": bool(changed.all()),
        "c": bool(changed[0].any() and not changed[1].any()),
    }


@truth("positional_encoding/learned_and_relative", 2)
def turned_values_would_carry_their_places() -> dict[str, bool]:
    """Turn queries, keys and values at two beginnings."""
    torch.manual_seed(0)
    x = torch.randn(3, 6, 8).double()
    turned = (rotary(x, torch.arange(start, start + 6)) for start in (0, 100))
    (one, weights), (other, other_weights) = (
        scaled_dot_product_attention(*each, causal_mask(6)) for each in turned
    )
    weights_stay = torch.allclose(weights, other_weights)
    output_stays = torch.allclose(one, other)
    return {
        "a": not weights_stay,
        "b": weights_stay and not output_stays,
        "c": weights_stay and output_stays,
    }


@truth("positional_encoding/learned_and_relative", 3)
def a_small_slope_sees_far() -> dict[str, bool]:
    """Count parameters with and without ALiBi, and what each of eight heads takes off at 5,000 tokens."""
    kinds = (LanguageModel(TransformerConfig(9, 9, positions=kind)) for kind in ("alibi", "none"))
    learned, unlearned = (sum(weight.numel() for weight in model.parameters()) for model in kinds)
    slopes = alibi_slopes(8)
    least = (5000 * slopes).argmin()
    return {
        "a": learned > unlearned,
        "b": bool(least == slopes.argmax()),
        "c": bool(least == slopes.argmin()) and learned == unlearned,
    }


@truth("positional_encoding/laboratory", 1)
def seeds_differ_by_more_than_five_points() -> dict[str, bool]:
    """Compare five points with the spread of seeds, and with the error of one run's test."""
    runs = positions.accuracies(positions.results(), "distance")
    at_64 = positions.LENGTHS.index(64)
    spread = {kind: (r[:, at_64].max() - r[:, at_64].min()).item() for kind, r in runs.items()}
    letters, share = 200 * positions.LAST, runs["learned"][:, at_64].mean().item()
    error_of_test = (share * (1 - share) / letters) ** 0.5
    within_chance = max(spread.values()) > 0.05
    from_the_test = 2 * error_of_test > 0.05
    return {
        "a": not within_chance,
        "b": within_chance and not from_the_test,
        "c": within_chance and from_the_test,
    }


@truth("positional_encoding/laboratory", 2)
def rows_without_gradient_keep_their_beginning() -> dict[str, bool]:
    """Train a learned table for a few steps, and look at the rows that no sequence reached."""
    begun, trained = (
        model.embedding.positions.weight.detach()
        for model in (
            positions.new_model("learned"),
            positions.train_model("order", "learned", steps=10),
        )
    )
    beyond, untouched = trained[positions.TRAINED_LENGTH :], begun[positions.TRAINED_LENGTH :]
    neighbours = trained[positions.TRAINED_LENGTH - 1 : -1]
    ratio = beyond / untouched
    return {
        "a": not beyond.any(),
        "b": bool(cosine_similarity(beyond, neighbours).mean() > 0.5),
        "c": bool((ratio < 1).all() and (ratio > 0.9).all()),
    }


@cache
def lookback() -> tuple[torch.Tensor, torch.Tensor]:
    """Train a rotary model a little; return its best head's weight four back, and 32 or more back."""
    model, record = positions.train_model("distance", "rotary", steps=250), []
    with torch.no_grad():
        model.eval()(positions.draw("distance", 20, 128, seed=7).token_ids, record=record)
    heads = torch.cat([layer.mean(dim=0) for layer in record])
    four_back = heads.diagonal(-4, dim1=-2, dim2=-1)
    best = four_back[:, 10:28].mean(dim=1).argmax()
    return four_back[best], heads[best].tril(-positions.TRAINED_LENGTH).sum(dim=-1)


@truth("positional_encoding/laboratory", 3)
def unseen_offsets_take_the_weight() -> dict[str, bool]:
    """Watch a small trained head, and compare rotary scores of one offset at two places."""
    four_back, far = lookback()
    torch.manual_seed(0)
    query, key = torch.randn(2, 1, 16).double()
    scores = [
        (rotary(query, torch.tensor([at])) * rotary(key, torch.tensor([at - 4]))).sum()
        for at in (20, 100, 1000)
    ]
    same_score = torch.allclose(scores[0], scores[1])
    lost = four_back[16] > 0.8 and four_back[96] < 0.1 and far[100] > 0.9
    return {
        "a": bool(lost) and same_score,
        "b": not same_score,
        "c": not bool(scores[2].isfinite()),
    }
