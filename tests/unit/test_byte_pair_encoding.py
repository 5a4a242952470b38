import json
import random
import unicodedata
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import ByteLevelBPETokenizer
from tokenizers.pre_tokenizers import ByteLevel

from lesson_tf.byte_pair_encoding import (
    BYTE_SYMBOLS,
    _Neighbours,
    count_pairs,
    count_words,
    join_pair,
)
from lesson_tf.corpus import (
    check_japanese_texts,
    check_python_code,
    check_torch_documentation,
    japanese_texts,
    python_code,
    torch_documentation,
)
from lesson_tf.tokenization import SPECIAL_TOKENS, BPETokenizer

MERGES = 1000
CORPORA = {
    "English": (torch_documentation, check_torch_documentation),
    "code": (python_code, check_python_code),
    "Japanese": (japanese_texts, check_japanese_texts),
}


def train_reference(texts, vocab_size, special_tokens=(), min_frequency=2):
    reference = ByteLevelBPETokenizer()
    reference.train_from_iterator(
        texts,
        vocab_size=vocab_size,
        min_frequency=min_frequency,
        special_tokens=list(special_tokens),
        show_progress=False,
    )
    return reference


def merges_of(reference, folder) -> list[tuple[str, str]]:
    reference.save_model(str(folder))
    lines = (folder / "merges.txt").read_text("utf-8").splitlines()[1:]
    return [tuple(line.split(" ")) for line in lines]


@pytest.fixture(scope="module")
def english():
    return BPETokenizer.train(torch_documentation(), 1024, SPECIAL_TOKENS)


@pytest.mark.parametrize("name", CORPORA)
def test_merges_and_ids_are_those_of_the_tokenizers_library(name, tmp_path):
    read, check = CORPORA[name]
    texts = read()
    check(texts)
    assert sum(len(text.encode()) for text in texts) > 60_000
    vocab_size = 256 + len(SPECIAL_TOKENS) + MERGES
    ours = BPETokenizer.train(texts, vocab_size, SPECIAL_TOKENS)
    theirs = train_reference(texts, vocab_size, SPECIAL_TOKENS)
    assert len(ours.merges) == MERGES
    assert ours.merges == merges_of(theirs, tmp_path)
    assert ours.vocabulary == theirs.get_vocab()
    for text in texts:
        encoding = theirs.encode(text)
        assert ours.encode(text) == encoding.ids
        assert ours.tokenize(text) == encoding.tokens
        assert ours.decode(encoding.ids) == text


@settings(deadline=None)
@given(st.lists(st.text("aab cé", max_size=40), max_size=4), st.integers(1, 3))
def test_ties_and_overlaps_are_settled_as_the_tokenizers_library_does(
    tmp_path_factory, texts, least
):
    ours = BPETokenizer.train(texts, 300, min_frequency=least)
    theirs = train_reference(texts, 300, min_frequency=least)
    assert ours.merges == merges_of(theirs, tmp_path_factory.getbasetemp())
    assert ours.vocabulary == theirs.get_vocab()
    for text in [*texts, "abcabcaaaab é"]:
        assert ours.encode(text) == theirs.encode(text).ids


@given(st.text("aab c", max_size=60))
def test_the_counts_after_each_merge_are_those_of_a_recount(text):
    words = count_words(text)
    vocabulary = {symbol: i for i, symbol in enumerate(BYTE_SYMBOLS)}
    neighbours = _Neighbours(words, vocabulary)
    for new_id in range(256, 270):
        recount = count_pairs(neighbours.words, words.values())
        assert +neighbours.pair_counts == recount
        pair = neighbours.most_frequent(1)
        if pair is None:
            assert not recount
            break
        assert (-recount[pair], pair) == min((-count, pair) for pair, count in recount.items())
        neighbours.join(pair, new_id)


def test_text_is_cut_as_gpt_2_cuts_it():
    text = "I'll pay 3,000円 for  it's\n\n  won't  "
    assert list(count_words(text)) == [
        *("I", "'ll", " pay", " 3", ",", "000", "円", " for", " ", " it", "'s", "\n\n "),
        *(" won", "'t", "  "),
    ]


def test_every_character_is_cut_as_the_tokenizers_library_cuts_it():
    reference = ByteLevel(add_prefix_space=False)
    # Characters newer than Python's tables are left out: each library knows those of its own year.
    known = [c for c in map(chr, range(0x110000)) if unicodedata.category(c) not in ("Cn", "Cs")]
    for start in range(0, len(known), 4096):
        text = "".join(f"a{c}1{c} {c}!" for c in known[start : start + 4096])
        cut = [text[i:j] for _, (i, j) in reference.pre_tokenize_str(text)]
        assert count_words(text) == Counter(cut)


def test_bytes_are_written_as_gpt_2_writes_them():
    assert len(set(BYTE_SYMBOLS)) == 256
    assert set(BYTE_SYMBOLS) == set(ByteLevel.alphabet())
    assert [BYTE_SYMBOLS[byte] for byte in b" \n\t\x00\xff~"] == list("ĠĊĉĀÿ~")
    # The order of the ids, too: printable bytes first.
    vocabulary = BPETokenizer.train("", 256).vocabulary
    assert (vocabulary["!"], vocabulary["ÿ"], vocabulary["Ā"], vocabulary["Ġ"]) == (
        0,
        187,
        188,
        220,
    )


@given(text=st.text())
def test_every_text_round_trips(english, text):
    ids = english.encode(text)
    assert english.decode(ids) == text
    assert [english.vocabulary[token] for token in english.tokenize(text)] == ids
    assert BPETokenizer.train(text, 300).decode(english.encode("")) == ""


@given(text=st.text(), cut=st.integers(0, 40))
def test_ids_that_cut_a_character_still_decode(english, text, cut):
    ids = english.encode(text)
    shown = english.decode(ids[:cut])
    assert text.startswith(shown.rstrip("�"))
    assert english.decode([*ids[cut:], *ids[:cut]]) is not None


def test_half_a_character_is_shown_as_the_replacement_sign(english):
    ids = BPETokenizer.train("", 256).encode("天気")
    tokenizer = BPETokenizer.train("", 256)
    assert [tokenizer.decode(ids[:n]) for n in (1, 3, 4)] == ["�", "天", "天�"]


def test_our_files_serve_the_tokenizers_library(english, tmp_path):
    english.save(tmp_path / "new" / "folder")
    files = [str(tmp_path / "new" / "folder" / name) for name in ("vocab.json", "merges.txt")]
    theirs = ByteLevelBPETokenizer.from_file(*files)
    text = torch_documentation()[7]
    assert theirs.encode(text).ids == english.encode(text)
    assert theirs.get_vocab_size() == len(english) == 1024
    assert (tmp_path / "new/folder/merges.txt").read_text("utf-8").startswith("#version: 0.2\n")


def test_files_of_the_tokenizers_library_serve_us(tmp_path):
    texts = torch_documentation()[:50]
    train_reference(texts, 600, ["<|endoftext|>"]).save_model(str(tmp_path))
    ours = BPETokenizer.load(tmp_path)
    assert ours.special_tokens == ("<|endoftext|>",)
    assert ours.merges == BPETokenizer.train(texts, 600, ["<|endoftext|>"]).merges
    # GPT-2's own files give the special token the last id.
    vocabulary = {token: token_id - 1 for token, token_id in ours.vocabulary.items()}
    gpt_2 = BPETokenizer({**vocabulary, "<|endoftext|>": 599}, ours.merges)
    assert gpt_2.encode("See torch.add") == [i - 1 for i in ours.encode("See torch.add")]
    assert gpt_2.decode([*gpt_2.encode("add"), 599]) == "add"


def test_published_files_with_ids_in_any_order_serve_us(tmp_path):
    # As GPT-2's: a line with a version, escapes in JSON, the end of a text as the last id. The ids
    # of the merges are shuffled, since only their order in merges.txt says which comes first.
    texts = torch_documentation()[:50]
    trained = BPETokenizer.train(texts, 600)
    order = random.Random(0).sample(trained.tokens, 600)
    vocabulary = {token: i for i, token in enumerate([*order, "<|endoftext|>"])}
    (tmp_path / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    lines = ["#version: 0.2", *map(" ".join, trained.merges)]
    (tmp_path / "merges.txt").write_text("\n".join(lines), encoding="utf-8")
    ours = BPETokenizer.load(tmp_path)
    assert ours.special_tokens == ("<|endoftext|>",)
    assert (ours.vocabulary["<|endoftext|>"], ours.merges) == (600, trained.merges)
    files = [str(tmp_path / name) for name in ("vocab.json", "merges.txt")]
    theirs = ByteLevelBPETokenizer.from_file(*files)
    for text in [*texts, *japanese_texts()[:50], "<|endoftext|> # version: 0.2\r\n"]:
        assert ours.encode(text) == theirs.encode(text).ids
        assert ours.decode(ours.encode(text)) == theirs.decode(theirs.encode(text).ids) == text


def test_files_of_windows_serve_us(english, tmp_path):
    english.save(tmp_path)
    path = tmp_path / "merges.txt"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert BPETokenizer.load(tmp_path).merges == english.merges


@pytest.mark.parametrize("half", ["\ud83d", "a\udc00b"])
def test_half_a_character_is_refused_wherever_a_text_goes_in(english, half):
    calls = (english.encode, english.tokenize, count_words, lambda t: BPETokenizer.train(t, 300))
    for call in calls:
        with pytest.raises(ValueError, match="half a character"):
            call(half)


def test_after_some_merges_is_the_tokenizer_trained_so_far(english):
    early = english.after_merges(100)
    trained = BPETokenizer.train(torch_documentation(), 360, SPECIAL_TOKENS)
    assert (early.vocabulary, early.merges) == (trained.vocabulary, trained.merges)
    assert early.special_tokens == SPECIAL_TOKENS
    assert english.after_merges(len(english.merges)).vocabulary == english.vocabulary
    assert english.after_merges(0).tokenize("add") == ["a", "d", "d"]
    for count in (-1, len(english.merges) + 1, True):
        with pytest.raises(ValueError, match="use a whole number from 0 to 764"):
            english.after_merges(count)


def test_saved_and_loaded_again_is_the_same(english, tmp_path):
    english.save(tmp_path)
    again = BPETokenizer.load(str(tmp_path))
    assert (again.vocabulary, again.merges) == (english.vocabulary, english.merges)
    assert again.special_tokens == SPECIAL_TOKENS


def test_special_tokens_come_first_and_are_never_made_from_text(english):
    assert english.special_tokens == SPECIAL_TOKENS
    assert [english.vocabulary[token] for token in SPECIAL_TOKENS] == [0, 1, 2, 3]
    assert (english.pad_id, english.unknown_id, english.bos_id, english.eos_id) == (0, 1, 2, 3)
    assert min(english.encode("<pad><bos>")) > 3
    assert english.decode([2, *english.encode("a tensor"), 3, 0]) == "a tensor"


def test_a_vocabulary_without_padding_has_no_pad_id():
    tokenizer = BPETokenizer.train("", 257, ["<eos>"])
    assert tokenizer.eos_id == 0
    assert not hasattr(tokenizer, "pad_id")


def test_training_stops_where_no_pair_is_frequent_enough():
    assert BPETokenizer.train("ab ab cd", 1000).merges == [("a", "b")]
    assert len(BPETokenizer.train("ab ab cd", 1000, min_frequency=1)) == 256 + 4
    assert BPETokenizer.train("", 1000).merges == []


def test_several_texts_are_not_joined():
    assert BPETokenizer.train(["ab", "ab"], 300).merges == [("a", "b")]
    assert BPETokenizer.train("abab", 257).merges == BPETokenizer.train(["abab"], 257).merges


@given(st.lists(st.integers(0, 2), max_size=12))
def test_joining_equals_replacing_from_left_to_right(ids):
    text = "".join("abc"[i] for i in ids)
    assert "".join("abcd"[i] for i in join_pair(ids, (0, 0), 3)) == text.replace("aa", "d")
    assert "".join("abcd"[i] for i in join_pair(ids, (0, 1), 3)) == text.replace("ab", "d")


def test_the_memory_of_words_is_bounded(english, monkeypatch):
    monkeypatch.setattr("lesson_tf.byte_pair_encoding._CACHED_WORDS", 5)
    text = " ".join(str(number) for number in range(30))
    assert english.decode(english.encode(text)) == text
    assert len(english._cache) <= 5
