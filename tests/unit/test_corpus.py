import inspect
from importlib.metadata import version

import pytest
import torch
from sphinx.domains import math

from lesson_tf.corpus import (
    BABEL_VERSION,
    NEAR_COPY,
    SHORTEST_TEXT,
    SPHINX_MODULES,
    SPHINX_VERSION,
    TORCH_DOCUMENTATION_SHA256,
    TORCH_VERSION,
    _runs,
    check_japanese_texts,
    check_python_code,
    check_torch_documentation,
    fingerprint,
    japanese_texts,
    near_copies,
    python_code,
    sphinx_messages,
    split_texts,
    torch_documentation,
)


@pytest.fixture(scope="module")
def texts():
    return torch_documentation()


@pytest.fixture(scope="module")
def split(texts):
    return split_texts(texts)


def test_the_documentation_is_that_of_the_pinned_torch(texts):
    assert torch.__version__.split("+")[0] == TORCH_VERSION
    assert fingerprint(texts) == TORCH_DOCUMENTATION_SHA256
    check_torch_documentation(texts)


def test_each_text_is_what_help_shows(texts):
    first, other = torch.abs.__doc__, torch.Tensor.new_full.__doc__
    assert texts[0] == first.strip()
    assert other.strip() in texts
    assert all(len(text) > SHORTEST_TEXT and text[0] not in " \n" for text in texts)
    assert "    input (Tensor): the input tensor.\n" in texts[0]  # filled in, not as written


def test_other_documentation_is_refused_with_both_versions(texts):
    with pytest.raises(
        ValueError, match=r"439 texts.*on which the language model .*install torch=="
    ):
        check_torch_documentation(texts[:-1])


def test_the_versions_are_those_installed():
    installed = [version(name) for name in ("sphinx", "babel")]
    assert installed == [SPHINX_VERSION, BABEL_VERSION]


def test_code_is_the_source_of_sphinx():
    texts = python_code()
    check_python_code(texts)
    assert texts[SPHINX_MODULES.index("domains/math.py")] == inspect.getsource(math)
    with pytest.raises(ValueError, match=r"the code of sphinx .*19 texts.*install sphinx=="):
        check_python_code(texts[1:])


def test_japanese_is_names_days_and_messages():
    texts = japanese_texts()
    check_japanese_texts(texts)
    assert {"日本", "日本語", "日本円", "メートル毎秒", "2024年2月29日木曜日"} <= set(texts)
    assert sum(len(text.encode()) for text in texts) > 60_000
    with pytest.raises(
        ValueError, match=r"Japanese of babel .* and sphinx .*install babel==\S+ sphi"
    ):
        check_japanese_texts(texts[1:])


def test_each_message_stands_in_both_languages():
    messages = sphinx_messages()
    assert ("Invalid caption: %s", "不正な caption です: %s") in messages
    assert [japanese for _, japanese in messages] == japanese_texts()[-len(messages) :]
    assert len(dict(messages)) == len(messages)


def test_the_fingerprint_tells_order_and_limits():
    prints = {fingerprint(texts) for texts in (["a", "b"], ["b", "a"], ["ab"], ["a", "", "b"])}
    assert len(prints) == 4


def test_a_tenth_is_held_out_and_nothing_is_lost(texts, split):
    training, validation = split
    assert sorted(training + validation) == sorted(texts)
    assert len(validation) == round(len(texts) / 10) == 44
    assert [text for text in texts if text in set(training)] == training


def test_no_held_out_text_has_a_near_copy_in_training(split):
    training, validation = split
    known = [_runs(text) for text in training]
    for text in validation:
        runs = _runs(text)
        assert all(len(runs & other) < NEAR_COPY * min(len(runs), len(other)) for other in known)


def test_seeds_split_differently_and_the_same_seed_alike():
    texts = [f"text {n}" for n in range(30)]
    assert split_texts(texts, seed=1) == split_texts(texts, seed=1)
    assert split_texts(texts, seed=1) != split_texts(texts, seed=2)


def test_equal_texts_are_kept_once():
    training, validation = split_texts(["a b", "a b", "c d", "e f"])
    assert sorted(training + validation) == ["a b", "c d", "e f"]


def test_near_copies_are_grouped_also_through_a_third():
    one = "the shape of the output is the shape of the input"
    three = "a new tensor is returned, which is a copy of the first"
    two = f"{one}; {three}"
    assert near_copies([one, "another", two, three]) == [[0, 2, 3], [1]]
    assert near_copies([one, three]) == [[0], [1]]
    assert near_copies([]) == []
