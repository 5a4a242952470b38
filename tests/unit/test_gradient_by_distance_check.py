"""The check of gradients at a distance in chapter 5, tried with attempts as learners write them."""

import pytest
import torch
from torch import nn

from lesson_tf import checks
from lesson_tf.checks.answers import answer_all

CHECK = checks.gradient_by_distance

# --- Right, in other ways ---------------------------------------------------------------------------


def by_jacobians(inputs, w_input, w_hidden):
    """Multiply the Jacobians by hand: no autograd."""
    states = [torch.zeros(w_hidden.shape[0])]
    for x in inputs:
        states.append(torch.tanh(x @ w_input + states[-1] @ w_hidden))
    back = torch.ones(w_hidden.shape[0])
    norms = []
    for state in reversed(states[1:]):
        through = back * (1 - state**2)
        norms.append((w_input @ through).norm())
        back = w_hidden @ through
    return torch.stack(norms[::-1])


def by_torch_rnn(inputs, w_input, w_hidden):
    rnn = nn.RNN(*w_input.shape, bias=False).double()
    with torch.no_grad():
        rnn.weight_ih_l0.copy_(w_input.T)
        rnn.weight_hh_l0.copy_(w_hidden.T)
    x = inputs.double().requires_grad_()
    rnn(x)[0][-1].sum().backward()
    return x.grad.norm(dim=1)


def one_by_one(inputs, w_input, w_hidden):
    rows = [row.clone().requires_grad_(True) for row in inputs]
    h = torch.zeros(1, w_hidden.shape[0])
    for row in rows:
        h = (row[None] @ w_input + h @ w_hidden).tanh()
    h.sum().backward()
    return torch.tensor([row.grad.pow(2).sum().sqrt().item() for row in rows])


RIGHT = (by_jacobians, by_torch_rnn, one_by_one)


@pytest.mark.parametrize("attempt", RIGHT)
def test_another_right_way_passes(attempt):
    assert CHECK(attempt), str(CHECK(attempt))
    for seed in range(1, 21):
        calls = CHECK.calls_from(seed, private=True)
        report = CHECK.judge(calls, answer_all(attempt, calls))
        assert report, f"seed {seed}: {report}"


@pytest.mark.parametrize("independent", RIGHT)
def test_the_reference_agrees_with_other_ways(independent):
    arguments = torch.randn(5, 3), torch.randn(3, 4), torch.randn(4, 4)
    found, wanted = CHECK.reference(*arguments).double(), independent(*arguments).double()
    assert torch.allclose(found, wanted, atol=1e-5)


# --- Wrong ------------------------------------------------------------------------------------------


def recur(inputs, w_input, w_hidden, keep):
    state, states = torch.zeros(w_hidden.shape[0]), []
    for x in inputs:
        state = torch.tanh(x @ w_input + keep(state) @ w_hidden)
        states.append(state)
    return states


def distance(
    of=lambda states: states[-1].sum(), keep=lambda state: state, finish=lambda g: g.norm(dim=1)
):
    def gradient_by_distance(inputs, w_input, w_hidden):
        inputs = inputs.clone().requires_grad_(True)
        of(recur(inputs, w_input, w_hidden, keep)).backward()
        return finish(inputs.grad)

    return gradient_by_distance


def every(states):
    return sum(state.sum() for state in states)


def cut(state):
    return state.detach()


def transposed(inputs, w_input, w_hidden):
    return by_jacobians(inputs, w_input, w_hidden.T)


def without_tanh(inputs, w_input, w_hidden):
    inputs = inputs.clone().requires_grad_(True)
    state = torch.zeros(w_hidden.shape[0])
    for x in inputs:
        state = x @ w_input + state @ w_hidden
    state.sum().backward()
    return inputs.grad.norm(dim=1)


def at_the_states(inputs, w_input, w_hidden):
    states = recur(inputs.clone().requires_grad_(), w_input, w_hidden, lambda state: state)
    for state in states:
        state.retain_grad()
    states[-1].sum().backward()
    return torch.stack([state.grad.norm() for state in states])


def each_by_itself(inputs, w_input, w_hidden):
    inputs = inputs.clone().requires_grad_()
    states = recur(inputs, w_input, w_hidden, lambda state: state)
    own = [torch.autograd.grad(s.sum(), inputs, retain_graph=True)[0] for s in states]
    return torch.stack([gradient[i].norm() for i, gradient in enumerate(own)])


MISTAKES = [
    (distance(every), "all states are summed: then"),
    (distance(keep=cut), "the way back is cut"),
    (distance(every, cut), "each state is asked about its own input alone"),
    (each_by_itself, "each state is asked about its own input alone"),
    (distance(finish=lambda g: g.norm(dim=1).flip(0)), "the order is turned round"),
    (distance(lambda states: states[0].sum()), "the first state is asked"),
    (at_the_states, "with respect to the states"),
    (without_tanh, "the tanh is missing"),
    (distance(lambda states: states[-1].mean()), "the mean of the last state"),
    (distance(lambda states: states[-1].pow(2).sum().sqrt()), "the norm of the last state"),
    (distance(finish=lambda g: (g**2).sum(1)), "the norms are squared"),
    (distance(finish=lambda g: g.abs().sum(1)), "the absolute values are added"),
    (distance(finish=lambda g: g.sum(dim=1)), "cancel each other"),
    (distance(finish=lambda g: g.norm(dim=0)), "a norm over the tokens"),
    (distance(finish=lambda g: g.norm(dim=1) / g[-1].norm()), "divided by the last or the largest"),
    (
        distance(finish=lambda g: g.norm(dim=1) / g.norm(dim=1).max()),
        "divided by the last or the largest",
    ),
    (transposed, "`w_hidden` is transposed"),
]


@pytest.mark.parametrize(("attempt", "words"), MISTAKES, ids=range(len(MISTAKES)))
def test_each_mistake_is_told_in_its_own_words(attempt, words):
    report = CHECK(attempt, points=4)
    assert not report and report.earned < 3, str(report)
    assert words in report.mistake, str(report)
    for seed in range(11, 21):  # test_solutions takes the seeds before
        calls = CHECK.calls_from(seed, private=True)
        report = CHECK.judge(calls, answer_all(attempt, calls))
        assert not report and words in report.mistake, f"seed {seed}: {report}"


def test_every_mistake_is_made_by_a_learner_here():
    made = {CHECK(attempt).mistake for attempt, _ in MISTAKES}
    assert made == {mistake.message for mistake in CHECK.mistakes}


def test_what_is_right_near_the_end_alone_does_not_pass():
    def forgets(inputs, w_input, w_hidden):
        norms = by_jacobians(inputs, w_input, w_hidden)
        return torch.where(norms < 1e-4 * norms.max(), 0, norms)

    report = CHECK(forgets)
    assert [step.title for step in report.steps if not step.passed] == [
        "Far inputs are felt little, by the right factor."
    ]


def test_without_a_record_the_line_is_named():
    def unrecorded(inputs, w_input, w_hidden):
        with torch.no_grad():
            [state] = recur(inputs.requires_grad_(), w_input, w_hidden, cut)[-1:]
        [gradient] = torch.autograd.grad(state.sum(), inputs)
        return gradient.norm(dim=-1)

    report = CHECK(unrecorded)
    assert report.earned is None and report.score == 0
    assert "`[gradient] = torch.autograd.grad" in str(report)


@pytest.mark.parametrize("new", [torch.zeros, torch.ones, torch.arange])
def test_guesses_earn_little(new):
    def guess(inputs, w_input, w_hidden):
        return 1.0 * new(len(inputs))

    assert 0 < CHECK(guess).score <= 0.25
