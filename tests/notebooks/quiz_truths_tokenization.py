"""What is true of each choice in the quizzes on tokens, byte pairs and embeddings."""

import random
from collections import Counter
from functools import cache
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from quizzes import truth
from tokenizers import ByteLevelBPETokenizer

from lesson_tf import language_model, translator
from lesson_tf.corpus import sphinx_messages, split_texts, torch_documentation
from lesson_tf.inspection import principal_components
from lesson_tf.tokenization import BPETokenizer, WordTokenizer, split_words


@cache
def messages(language: str) -> tuple[list[str], list[str]]:
    """Divide Sphinx's messages in a language: those of training, and 70 held out."""
    pairs = sphinx_messages()
    shuffled = random.Random(0).sample(pairs, len(pairs))
    side = [pair[("English", "Japanese").index(language)] for pair in shuffled]
    return side[70:], side[:70]


@truth("tokenization/tokens", 1)
def bytes_hold_a_fifth_of_the_words() -> dict[str, bool]:
    """Count words and bytes of the messages held out."""
    text = "\n".join(messages("Japanese")[1])
    share = len(split_words(text, "ja")) / len(text.encode())
    return {"a": share > 0.9, "b": 0.29 < share < 0.38, "c": 0.18 < share < 0.22}


@truth("tokenization/tokens", 2)
def new_text_brings_new_words() -> dict[str, bool]:
    """Look at the words held out which the vocabulary lacks, and at their characters."""
    train, held_out = ("\n".join(texts) for texts in messages("Japanese"))
    vocabulary = WordTokenizer.train(train, "ja").vocabulary
    trained = set(split_words(train, "ja"))
    unknown = [word for word in split_words(held_out, "ja") if word not in vocabulary]
    with_new_signs = sum(not set(word) <= set(train) for word in unknown)
    return {
        "a": bool(trained - set(vocabulary)),
        "b": len(unknown) > 0 and trained.isdisjoint(unknown),
        "c": with_new_signs > len(unknown) / 2,
    }


@truth("tokenization/tokens", 3)
def bytes_are_long() -> dict[str, bool]:
    """Count the lesson's sentence; give all Japanese messages and their signs back from bytes."""
    sentence = "今日は良い天気です"
    squares = [len(pieces) ** 2 for pieces in (split_words(sentence, "ja"), sentence.encode())]
    texts = [message for side in messages("Japanese") for message in side]
    signs = set("".join(texts))
    assert len(signs) > 256
    return {
        "a": squares[1] > 10 * squares[0],
        "b": len({sign.encode() for sign in signs}) < len(signs),  # two signs share their bytes
        "c": any(text.encode().decode() != text for text in texts),
    }


@truth("tokenization/byte_pair_encoding", 1)
def the_earliest_merge_goes_first() -> dict[str, bool]:
    """Let the `tokenizers` library cut the word by the three merges."""
    signs = ["l", "o", "w", "e", "r", "we", "lo", "low"]
    with TemporaryDirectory() as folder:
        vocabulary, merges = Path(folder, "vocab.json"), Path(folder, "merges.txt")
        entries = ", ".join(f'"{sign}": {n}' for n, sign in enumerate(signs))
        vocabulary.write_text("{" + entries + "}")
        merges.write_text("#version: 0.2\nw e\nl o\nlo w\n")
        cut = ByteLevelBPETokenizer.from_file(str(vocabulary), str(merges)).encode("lower").tokens
    return {
        "a": cut == ["low", "e", "r"],
        "b": cut == ["lo", "we", "r"],
        "c": cut == ["lowe", "r"],
    }


@cache
def english_stages() -> tuple[BPETokenizer, ...]:
    """Train on the English messages; return the tokenizer after 250, 500, 750 and 1,000 merges."""
    whole = BPETokenizer.train(messages("English")[0], vocab_size=256 + 1000)
    return tuple(whole.after_merges(merges) for merges in (250, 500, 750, 1000))


@truth("tokenization/byte_pair_encoding", 2)
def english_merges_make_japanese_long() -> dict[str, bool]:
    """Write the same messages in both languages under English merges."""
    tokenizer = english_stages()[-1]
    ids = {
        language: [tokenizer.encode(text) for text in messages(language)[1]]
        for language in ("English", "Japanese")
    }
    english, japanese = (sum(map(len, texts)) for texts in ids.values())
    back = [tokenizer.decode(each) for each in ids["Japanese"]]
    return {
        "a": japanese < 1.2 * english,
        "b": back != messages("Japanese")[1],
        "c": 3.5 < japanese / english < 5,
    }


@truth("tokenization/byte_pair_encoding", 3)
def late_merges_are_rare() -> dict[str, bool]:
    """Compare what equal numbers of merges save, how often they are used, and two programs' ids."""
    train, held_out = messages("English")
    stages = english_stages()
    lengths = [sum(len(stage.encode(text)) for text in held_out) for stage in stages]
    savings = [before - after for before, after in pairwise(lengths)]
    used = Counter(token_id for text in train for token_id in stages[-1].encode(text))
    quarters = [sum(used[256 + n] for n in range(at, at + 250)) for at in range(0, 1000, 250)]
    with TemporaryDirectory() as folder:
        stages[-1].save(folder)
        files = (str(Path(folder, name)) for name in ("vocab.json", "merges.txt"))
        theirs = ByteLevelBPETokenizer.from_file(*files)
    longest = max(stages[-1].tokens, key=len)
    return {
        "a": savings[0] > savings[1] > savings[2] > 0 and quarters == sorted(quarters)[::-1],
        "b": stages[-1].decode([stages[-1].vocabulary[longest]]) != longest.replace("Ġ", " "),
        "c": any(theirs.encode(text).ids != stages[-1].encode(text) for text in held_out),
    }


@truth("tokenization/embeddings", 1)
@torch.no_grad()
def positions_part_equal_rows() -> dict[str, bool]:
    """Follow the two 5s through the shipped translator until their vectors differ."""
    model = translator.load().model
    ids = torch.tensor([translator.load().read("5 May 2005")])
    assert model.config.positions == "sinusoidal" and ids[0, 0] == ids[0, -1]
    rows, given = model.source_embedding.table(ids)[0], model.source_embedding(ids)[0]
    in_table, at_input = (not torch.equal(x[0], x[-1]) for x in (rows, given))
    return {"a": in_table, "b": at_input and not in_table, "c": not at_input}


@truth("tokenization/embeddings", 2)
def one_can_stand_for_the_other() -> dict[str, bool]:
    """Compare three rows with one in the shipped language model's table."""
    writer = language_model.load()
    index = {writer.name(i): i for i in range(len(writer.tokenizer))}
    table = writer.model.embedding.table.weight.detach()
    names = (" dense", " tensor", "sparse")
    asked, others = table[index[" sparse"]], table[[index[name] for name in names]]
    nearest = torch.cosine_similarity(asked, others, dim=-1).argmax().item()
    follows = Counter(
        after
        for text in split_texts(torch_documentation())[0]
        for before, after in pairwise(writer.sequence(text))
        if before == index[" sparse"]
    )
    assert follows.most_common(1)[0][0] == index[" tensor"]  # as choice b says of it
    return {"a": nearest == 0, "b": nearest == 1, "c": nearest == 2}


@truth("tokenization/embeddings", 3)
def a_map_only_shortens() -> dict[str, bool]:
    """Compare distances on the lesson's map of 18 rows with those in the whole table."""
    model, signs = translator.load(), "123456789一二三四五六七八九"
    vocabulary = model.source_tokenizer.vocabulary
    rows = model.model.source_embedding.table.weight.detach()[[vocabulary[s] for s in signs]]
    points, _ = principal_components(rows)
    on_map, in_table = torch.cdist(points, points), torch.cdist(rows, rows)
    safe = bool((on_map <= in_table + 1e-4).all())

    def nearest_to_nine(distances: torch.Tensor) -> str:
        return signs[distances[-1, :-1].argmin()]

    assert (nearest_to_nine(on_map), nearest_to_nine(in_table)) == ("七", "9")
    apart = ~torch.eye(18, dtype=torch.bool)
    beside = (on_map < on_map[apart].quantile(0.1)) & apart
    near = in_table < in_table[apart].median()
    # The map alone tells that some rows lie farther apart than a digit and its numeral.
    shows = bool(on_map.max() > in_table.diagonal(9).max())
    return {"a": bool(near[beside].all()), "b": not shows, "c": safe}
