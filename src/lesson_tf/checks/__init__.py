"""Checks of the exercises: `checks.NAME(attempt)` returns a report that names the mistake."""

from lesson_tf.checks.attention_exercises import attention, split_heads, two_masks
from lesson_tf.checks.exercise import Exercise
from lesson_tf.checks.report import Report

EXERCISES: dict[str, Exercise] = {
    "attention": attention,
    "split_heads": split_heads,
    "two_masks": two_masks,
}
__all__ = ["EXERCISES", "Exercise", "Report", *EXERCISES]
