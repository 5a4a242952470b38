"""The family that ships: every member, its attention for the fixed sentences, and what was measured."""

import pytest
import torch

from lesson_tf import family
from lesson_tf.dates import STYLES


@pytest.fixture(scope="module")
def members():
    return family.load()


def test_there_is_one_member_for_each_width_and_number_of_heads_that_divides_it():
    assert len(family.MEMBERS) == len(set(family.MEMBERS)) == 16
    assert {width for width, _ in family.MEMBERS} == {8, 16, 32, 64}
    assert {heads for _, heads in family.MEMBERS} == {1, 2, 4, 8}


@pytest.mark.parametrize(("d_model", "heads"), family.MEMBERS)
def test_every_member_has_attention_for_every_sentence(members, d_model, heads):
    for sentence in family.SENTENCES:
        seen = members.attention(d_model, heads, sentence)
        source, target = len(seen.source_tokens), len(seen.target_tokens)
        assert "".join(seen.source_tokens) == sentence
        assert seen.encoder.shape == (2, heads, source, source)
        assert seen.decoder.shape == (2, heads, target, target)
        assert seen.cross.shape == (2, heads, target, source)
        for weights in (seen.encoder, seen.decoder, seen.cross):
            sums = weights.sum(-1)
            torch.testing.assert_close(sums, torch.ones_like(sums), atol=5e-3, rtol=0)
        assert (seen.decoder.triu(1) == 0).all()


def test_parameters_depend_on_the_width_and_not_on_the_heads(members):
    for d_model in family.WIDTHS:
        assert len({members.parameters(d_model, heads) for heads in family.HEADS}) == 1
    counts = [members.parameters(d_model, 1) for d_model in family.WIDTHS]
    assert counts == sorted(set(counts))


def test_the_wide_are_right_more_often_than_the_narrow(members):
    for heads in family.HEADS:
        assert members.exact_match(8, heads) < members.exact_match(32, heads)
        assert members.exact_match(32, heads) < members.exact_match(64, heads)
    for style in STYLES:
        assert 0 <= members.exact_match(8, 8, style) <= members.exact_match(64, 4, style) <= 1


def test_the_member_that_is_right_writes_the_date(members):
    seen = members.attention(64, 4, "令和6年3月5日")
    assert seen.text == "2024-03-05"


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (
            lambda f: f.parameters(48, 4),
            "no member of the family has d_model=48 and heads=4; use d_model in",
        ),
        (lambda f: f.exact_match(60, 3), r"\(the nearest is d_model=64, heads=[24]\)"),
        (lambda f: f.exact_match("64", 4), "d_model='64' is no whole number"),
        (
            lambda f: f.exact_match(64, 4, "en"),
            "style='en' was not measured; use one of all, en gb",
        ),
        (
            lambda f: f.attention(64, 4, "today"),
            "sentence='today' is not among those stored; use one of",
        ),
    ],
)
def test_what_is_not_there_gets_a_sentence(members, ask, sentence):
    with pytest.raises(ValueError, match=sentence):
        ask(members)


def test_a_folder_without_family_gets_a_sentence(tmp_path):
    with pytest.raises(
        ValueError, match=r"there is no attention\.npz of the family; `make models` makes it"
    ):
        family.load(tmp_path)


@pytest.mark.usefixtures("unchecked")
def test_a_folder_may_be_a_string_and_nothing_else_but_a_path():
    assert family.load(str(family.DATA / "family")) is family.load()
    with pytest.raises(
        ValueError, match=r"folder=\[\] is no path; give a string or a pathlib.Path"
    ):
        family.load([])
