"""The drawn mark is what its script draws."""

import pytest
from book.theme.draw_logo import STATIC, logo

from lesson_tf.palette import DARK, LIGHT


@pytest.mark.parametrize(
    ("name", "colours"), [("logo-light", LIGHT), ("logo-dark", DARK), ("favicon", LIGHT)]
)
def test_stored_logo_is_the_one_the_script_draws(name, colours):
    assert (STATIC / f"{name}.svg").read_text("utf-8") == logo(colours)
