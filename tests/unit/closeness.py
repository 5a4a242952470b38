"""What "the same as torch" means: close relative to the largest entry, since single small entries round."""

import torch

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}


def assert_close(ours, theirs):
    """Fail unless the largest difference is within the tolerance of the largest entry."""
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype
    largest = theirs.abs().max().clamp(min=1e-30)
    difference = ((ours - theirs).abs().max() / largest).item()
    assert difference <= TOLERANCE[theirs.dtype], (
        f"differs by {difference:.1e} of the largest entry"
    )


def assert_same_gradients(ours, theirs, inputs, weight_pairs):
    """Fail unless a random weighing of both outputs sends the same gradients to inputs and weights."""
    direction = torch.randn_like(theirs)
    of_ours = [*inputs, *(pair[0] for pair in weight_pairs)]
    of_theirs = [*inputs, *(pair[1] for pair in weight_pairs)]
    got = torch.autograd.grad((ours * direction).sum(), of_ours)
    expected = torch.autograd.grad((theirs * direction).sum(), of_theirs)
    for one, other in zip(got, expected, strict=True):
        assert_close(one, other)
