"""What is true of each choice in the quiz of the warm-up."""

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from quizzes import truth
from torch import nn


@truth("warm_up", 1)
def a_constant_leaves_the_shares() -> dict[str, bool]:
    """Add 20 to three scores."""
    scores = torch.tensor([3.0, 1.0, 0.0], dtype=torch.float64)
    before, after = scores.softmax(dim=0), (scores + 20).softmax(dim=0)
    return {
        "a": bool(after.max() - after.min() < 0.1),
        "b": bool(after.max() > 0.99),
        "c": torch.allclose(before, after),
    }


@truth("warm_up", 2)
def a_linear_layer_leaves_tokens_alone() -> dict[str, bool]:
    """Change one token of a batch, and see which outputs move."""
    torch.manual_seed(0)
    layer, x = nn.Linear(8, 3), torch.randn(2, 5, 8)
    changed = x.clone()
    changed[0, 2] += 1.0
    moved = (layer(changed) != layer(x)).any(dim=-1).nonzero().tolist()
    sentence = [[0, place] for place in range(5)]
    return {
        "a": moved == [[0, 2]],
        "b": moved == sentence,
        "c": moved == sentence + [[1, place] for place in range(5)],
    }


def lowest_loss(width: int, steps: int, tokens_before: int) -> float:
    """Train on the neighbours in both sentences as the lesson does; return the lowest loss."""
    sentences = [[0, 2, 3, 5, 6], [1, 2, 4, 5, 6]]  # 今日は良い天気です, 明日は悪い天気です
    pairs = [
        ([7] * tokens_before + sentence, place)  # 7: nothing comes before the first token
        for sentence in sentences
        for place in range(tokens_before, tokens_before + 4)
    ]
    given = torch.tensor([padded[place - tokens_before : place + 1] for padded, place in pairs])
    following = torch.tensor([after for each in sentences for _, after in pairwise(each)])
    torch.manual_seed(0)
    inputs = 1 + tokens_before
    model = nn.Sequential(nn.Embedding(8, width), nn.Flatten(), nn.Linear(inputs * width, 8))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    lowest = math.inf
    for _ in range(steps):
        loss = F.cross_entropy(model(given), following)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        lowest = min(lowest, loss.item())
    return lowest


@truth("warm_up", 3)
def only_another_input_lowers_the_floor() -> dict[str, bool]:
    """Train with wider vectors, with one more input, and ten times as long."""
    floor = 2 / 8 * math.log(2)
    assert abs(lowest_loss(width=16, steps=200, tokens_before=0) - floor) < 0.01
    return {
        "a": lowest_loss(width=512, steps=200, tokens_before=0) < floor - 1e-4,
        "b": lowest_loss(width=16, steps=200, tokens_before=1) < floor - 1e-4,
        "c": lowest_loss(width=16, steps=2000, tokens_before=0) < floor - 1e-4,
    }
