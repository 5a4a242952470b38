"""Checks of the exercises: `checks.NAME(attempt)` returns a report that names the mistake."""

from lesson_tf.checks.attention_exercises import attention, split_heads, two_masks
from lesson_tf.checks.beam_search_exercise import beam_search
from lesson_tf.checks.cached_step_exercise import cached_step
from lesson_tf.checks.concept_test import concept_test, concept_test_letters
from lesson_tf.checks.exercise import Exercise
from lesson_tf.checks.flow_exercises import shifted_loss
from lesson_tf.checks.gradient_by_distance_exercise import gradient_by_distance
from lesson_tf.checks.layer_norm_exercise import layer_norm
from lesson_tf.checks.one_merge_exercise import one_merge
from lesson_tf.checks.positional_encoding_exercises import offset_rotation, sinusoidal_table
from lesson_tf.checks.report import Report
from lesson_tf.checks.rotary_exercise import rotary
from lesson_tf.checks.tokenization_exercises import encode_by_rank, tied_embedding
from lesson_tf.checks.why_it_works_exercises import combined_gradient, fit_exponent

EXERCISES: dict[str, Exercise] = {
    "attention": attention,
    "beam_search": beam_search,
    "cached_step": cached_step,
    "combined_gradient": combined_gradient,
    "concept_test": concept_test,
    "concept_test_letters": concept_test_letters,
    "encode_by_rank": encode_by_rank,
    "fit_exponent": fit_exponent,
    "gradient_by_distance": gradient_by_distance,
    "layer_norm": layer_norm,
    "offset_rotation": offset_rotation,
    "one_merge": one_merge,
    "rotary": rotary,
    "shifted_loss": shifted_loss,
    "sinusoidal_table": sinusoidal_table,
    "split_heads": split_heads,
    "tied_embedding": tied_embedding,
    "two_masks": two_masks,
}
__all__ = ["EXERCISES", "Exercise", "Report", *EXERCISES]
