import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lesson_tf.tokenization import SPECIAL_TOKENS, CharTokenizer, WordTokenizer, split_words

SENTENCE = "今日は良い天気です"


def test_the_documents_example():
    assert split_words(SENTENCE, "ja") == ["今日", "は", "良い", "天気", "です"]
    tokenizer = WordTokenizer.train(SENTENCE, language="ja")
    assert tokenizer.tokenize(SENTENCE) == ["今日", "は", "良い", "天気", "です"]
    assert tokenizer.decode(tokenizer.encode(SENTENCE)) == SENTENCE


def test_the_modes_of_sudachi_go_from_short_to_long():
    assert [split_words("東ドイツ", "ja", mode) for mode in "AB"] == [
        ["東", "ドイツ"],
        ["東ドイツ"],
    ]
    assert [split_words("南アフリカ", "ja", mode) for mode in "BC"] == [
        ["南", "アフリカ"],
        ["南アフリカ"],
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don't stop, it's 3.14!", ["Don't", "stop", ",", "it's", "3.14", "!"]),
        ("state-of-the-art", ["state", "-", "of", "-", "the", "-", "art"]),
        ("  two\n lines ", ["two", "lines"]),
        ("1,024 naïve cafés", ["1,024", "naïve", "cafés"]),
        ("", []),
    ],
)
def test_english_words_by_rule(text, words):
    assert split_words(text, "en") == words


def test_long_japanese_texts_are_cut_although_the_analyser_has_a_limit():
    text = (SENTENCE + "。") * 4000
    words = split_words(text, "ja")
    assert "".join(words) == text


def test_the_vocabulary_is_ordered_by_frequency_then_first_sight():
    tokenizer = CharTokenizer.train("banana b")
    assert list(tokenizer.vocabulary) == [*SPECIAL_TOKENS, "a", "b", "n", " "]
    assert len(CharTokenizer.train("banana", max_vocabulary=5)) == 5
    assert (tokenizer.pad_id, tokenizer.unknown_id) == (0, 1)


def test_a_special_token_in_the_text_is_not_special():
    tokenizer = WordTokenizer.train("a b", language="en")
    assert tokenizer.tokenize("<pad>") == ["<", "pad", ">"]
    assert CharTokenizer.train("<pad>").encode("<pad>") == [4, 5, 6, 7, 8]


@given(st.text())
def test_every_text_round_trips_through_its_characters(text):
    tokenizer = CharTokenizer.train(text)
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.unknown_id not in tokenizer.encode(text)


@given(st.text())
def test_unknown_characters_are_counted_one_by_one(text):
    tokenizer = CharTokenizer.train("")
    assert tokenizer.encode(text) == [tokenizer.unknown_id] * len(text)


@given(st.text(st.characters(codec="utf-8")), st.sampled_from("ABC"))
def test_words_lose_white_space_alone(text, mode):
    def squeezed(words):
        return "".join("".join(words).split())

    assert squeezed(split_words(text, "en")) == squeezed(text)
    assert squeezed(split_words(text, "ja", mode)) == squeezed(text)


def test_unicode_forms_are_kept_as_written():
    composed, decomposed = "が", unicodedata.normalize("NFD", "が")
    assert CharTokenizer.train("").tokenize(decomposed) == list(decomposed)
    assert len(decomposed) == 2 and len(composed) == 1
