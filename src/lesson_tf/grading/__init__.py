"""Assignments made from the exercises, and submissions graded in sandboxes, through nbgrader."""


class GradingError(ValueError):
    """Why no assignment can be made, or nothing graded, in a sentence."""
