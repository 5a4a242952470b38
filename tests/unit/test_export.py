"""The exported models: onnxruntime computes what torch computes, for every size, and the files are what a page needs."""

import json
import os
import subprocess
import sys
import unicodedata
from functools import cache

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from lesson_tf import export, language_model, translator
from lesson_tf.attention import MultiHeadAttention, causal_mask
from lesson_tf.byte_pair_encoding import BPETokenizer
from lesson_tf.dates import normalize
from lesson_tf.decoding import greedy, next_token_probabilities
from lesson_tf.transformer import LanguageModel, Transformer, TransformerConfig

TOLERANCE = 1e-4
SMALL = TransformerConfig(source_vocab=9, target_vocab=9, d_model=8)
LARGEST = {  # bytes
    "attention.onnx": 12_000,
    "language_model.json": 20_000,
    "language_model.onnx": 2_200_000,
    "next_token.onnx": 8_000,
    "translator.json": 3_000,
    "translator_decoder.onnx": 650_000,
    "translator_encoder.onnx": 500_000,
}
GRAPHS = [name for name in LARGEST if name.endswith(".onnx")]
AXES = {
    "translator_encoder": (
        {"source_ids": ("int32", "batch", "source")},
        {
            "memory": ("float", "batch", "source", 64),
            "encoder_attention": ("float", 2, "batch", 4, "source", "source"),
            "stream": ("float", 5, "batch", "source", 64),
            "norms": ("float", 6, "batch", "source"),
            "turns": ("float", 5, "batch", "source"),
        },
    ),
    "translator_decoder": (
        {
            "target_ids": ("int32", "batch", "target"),
            "memory": ("float", "batch", "source", 64),
        },
        {
            "log_probabilities": ("double", "batch", "target", 15),
            "decoder_attention": ("float", 2, "batch", 4, "target", "target"),
            "cross_attention": ("float", 2, "batch", 4, "target", "source"),
            "stream": ("float", 7, "batch", "target", 64),
            "last": ("float", "batch", "target", 64),
            "norms": ("float", 8, "batch", "target"),
            "turns": ("float", 7, "batch", "target"),
        },
    ),
    "language_model": (
        {"token_ids": ("int32", "batch", "length")},
        {"logits": ("float", "batch", 1024)},
    ),
    "next_token": (
        {
            "logits": ("float", "batch", "vocabulary"),
            "temperature": ("float",),
            "top_k": ("int64",),
            "top_p": ("float",),
        },
        {"probabilities": ("float", "batch", "vocabulary")},
    ),
    "attention": (
        {
            "x": ("float", "length", "d_model"),
            **dict.fromkeys(("w_q", "w_k", "w_v"), ("float", "heads", "d_k", "d_model")),
            **dict.fromkeys(("b_q", "b_k", "b_v"), ("float", "heads", "d_k")),
            "w_o": ("float", "d_model", "d_model"),
            "b_o": ("float", "d_model"),
            "causal": ("int32",),
        },
        {
            "output": ("float", "length", "d_model"),
            "weights": ("float", "heads", "length", "length"),
        },
    ),
}


def in_another_process(*arguments):
    """Run Python on one thread, without the shape checks of these tests; give back what it printed."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "random"}
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """Every file in a folder, and what the command said."""
    folder = tmp_path_factory.mktemp("exported") / "new" / "folder"
    return folder, in_another_process("-m", "lesson_tf.export", folder)


@pytest.fixture(scope="session")
def run(exported):
    """Run a graph of the folder: a function of its name and inputs to its outputs, as tensors by name."""
    folder, _ = exported

    @cache
    def session(name):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        return onnxruntime.InferenceSession(folder / f"{name}.onnx", options)

    def run_graph(name, **inputs):
        arrays = {key: np.asarray(value.detach()) for key, value in inputs.items()}
        outputs = session(name).run(None, arrays)
        names = [output.name for output in session(name).get_outputs()]
        return dict(zip(names, map(torch.from_numpy, outputs), strict=True))

    return run_graph


@pytest.fixture(scope="module")
def reader():
    return translator.load()


@pytest.fixture(scope="module")
def writer():
    return language_model.load()


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.no_grad():
        yield


def assert_equal(ours, theirs):
    assert ours.dtype == theirs.dtype
    torch.testing.assert_close(ours, theirs, rtol=0, atol=TOLERANCE)


def random_ids(*shape, vocab, least=4):
    """Draw ids; from 4 on, none is a special token."""
    return torch.randint(least, vocab, shape, dtype=torch.int32)


def test_the_command_writes_all_files_and_names_them(exported):
    folder, said = exported
    assert sorted(path.name for path in folder.iterdir()) == sorted(LARGEST)
    lines = dict(line.split(maxsplit=1) for line in said.splitlines())
    assert lines == {path.name: f"{path.stat().st_size:,} bytes" for path in folder.iterdir()}


@pytest.mark.parametrize("name", LARGEST)
def test_files_are_small(exported, name):
    folder, _ = exported
    assert 500 < (folder / name).stat().st_size <= LARGEST[name]


def test_a_second_export_writes_the_same_bytes(exported, tmp_path):
    folder, _ = exported
    exporting = """
import sys
from lesson_tf import export, language_model
export.export_language_model(language_model.load().model, sys.argv[1] + "/language_model.onnx")
export.export_next_token(sys.argv[1] + "/next_token.onnx")
"""
    in_another_process("-c", exporting, tmp_path)
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (folder / path.name).read_bytes(), path.name
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph_is_one_file_of_standard_operators(exported, name):
    folder, _ = exported
    model = onnx.load(folder / name, load_external_data=False)
    onnx.checker.check_model(model, full_check=True)
    assert [opset.domain for opset in model.opset_import] == [""]
    assert not model.functions
    assert not [
        t for t in model.graph.initializer if onnx.external_data_helper.uses_external_data(t)
    ]
    assert b"lesson_tf" not in (folder / name).read_bytes()  # no path of the machine that built it


@pytest.mark.parametrize("name", AXES)
def test_inputs_and_outputs_are_those_that_the_page_gives_and_takes(exported, name):
    folder, _ = exported
    session = onnxruntime.InferenceSession(folder / f"{name}.onnx")
    for values, expected in zip(
        (session.get_inputs(), session.get_outputs()), AXES[name], strict=True
    ):
        found = {value.name: (value.type[7:-1], *value.shape) for value in values}
        assert found == expected


@pytest.mark.parametrize(("batch", "length"), [(1, 1), (1, 2), (1, 8), (2, 1), (3, 17), (2, 64)])
def test_the_encoder(run, reader, batch, length):
    model, ids = reader.model, random_ids(batch, length, vocab=102)
    record = []
    memory = model.encode(ids, record)
    found = run("translator_encoder", source_ids=ids)
    assert_equal(found["memory"], memory)
    assert_equal(found["encoder_attention"], torch.stack(record))


@pytest.mark.parametrize("length", [1, 13])
def test_the_stream_is_what_each_sublayer_leaves(run, reader, length):
    model, ids = reader.model, random_ids(2, length, vocab=102)
    found = run("translator_encoder", source_ids=ids)
    x = model.source_embedding(ids)
    expected = [x]
    for layer in model.encoder.layers:
        normed = layer.attention_residual.norm(x)
        x = x + layer.self_attention(normed)[0]
        expected.append(x)
        x = x + layer.feed_forward(layer.feed_forward_residual.norm(x))
        expected.append(x)
    assert_equal(found["stream"], torch.stack(expected))
    assert_equal(found["memory"], model.encoder.norm(found["stream"][-1]))
    assert_norms_and_turns(found, found["memory"])


@pytest.mark.parametrize("length", [1, 11])
def test_the_stream_of_the_decoder(run, reader, length):
    model, ids = reader.model, random_ids(2, length, vocab=15)
    memory = model.encode(random_ids(2, 8, vocab=102))
    found = run("translator_decoder", target_ids=ids, memory=memory)
    x, mask = model.target_embedding(ids), causal_mask(length)
    expected = [x]
    for layer in model.decoder.layers:
        x = x + layer.self_attention(layer.self_residual.norm(x), mask=mask)[0]
        expected.append(x)
        x = x + layer.cross_attention(layer.cross_residual.norm(x), memory)[0]
        expected.append(x)
        x = x + layer.feed_forward(layer.feed_forward_residual.norm(x))
        expected.append(x)
    assert_equal(found["stream"], torch.stack(expected))
    assert_equal(found["last"], model.decoder.norm(x))
    assert_norms_and_turns(found, found["last"])


def assert_norms_and_turns(found: dict, last: torch.Tensor) -> None:
    states = torch.cat([found["stream"], last[None]]).double()
    assert_equal(found["norms"], (states**2).sum(-1).sqrt().float())
    units = states / (states**2).sum(-1, keepdim=True).sqrt()
    degrees = 2 * torch.atan2(
        (units[1:] - units[:-1]).norm(dim=-1), (units[1:] + units[:-1]).norm(dim=-1)
    )
    assert (found["turns"] - degrees * 180 / torch.pi).abs().max() < 1e-3


def test_padding_in_a_batch_changes_nothing(run):
    ids = random_ids(2, 9, vocab=102)
    ids[0, 5:] = 0
    together = run("translator_encoder", source_ids=ids)
    alone = run("translator_encoder", source_ids=ids[:1, :5])
    assert_equal(together["memory"][:1, :5], alone["memory"])
    assert not together["encoder_attention"][:, 0, :, :, 5:].any()


@pytest.mark.parametrize(
    ("batch", "target", "source"),
    [(1, 1, 1), (1, 1, 9), (1, 2, 1), (1, 11, 8), (4, 5, 2), (3, 1, 64), (2, 12, 64)],
)
def test_the_decoder(run, reader, batch, target, source):
    model = reader.model
    memory = model.encode(random_ids(batch, source, vocab=102))
    ids = random_ids(batch, target, vocab=15)
    record = []
    logits = model.decode(ids, memory, record=record)
    found = run("translator_decoder", target_ids=ids, memory=memory)
    assert_equal(found["log_probabilities"], logits.double().log_softmax(-1))
    assert_equal(found["decoder_attention"], torch.stack(record[0::2]))
    assert_equal(found["cross_attention"], torch.stack(record[1::2]))
    assert not found["decoder_attention"].triu(1).any()
    total = found["log_probabilities"].exp().sum(-1)
    torch.testing.assert_close(total, torch.ones_like(total))  # in float64, to 1e-7


def test_special_tokens_among_what_was_written(run, reader):
    memory = reader.model.encode(random_ids(2, 6, vocab=102))
    ids = torch.tensor([[2, 6, 7, 3, 0, 0], [2, 6, 0, 8, 1, 9]], dtype=torch.int32)
    found = run("translator_decoder", target_ids=ids, memory=memory)
    expected = reader.model.decode(ids, memory).double().log_softmax(-1)
    assert_equal(found["log_probabilities"], expected)


def write_with_graphs(run, reader, text):
    """Translate greedily with the two graphs; give back the ids as torch's greedy does."""
    source = torch.tensor([reader.read(text)], dtype=torch.int32)
    memory = run("translator_encoder", source_ids=source)["memory"]
    written = [reader.target_tokenizer.bos_id]
    while len(written) <= translator.LONGEST_TARGET:
        ids = torch.tensor([written], dtype=torch.int32)
        scores = run("translator_decoder", target_ids=ids, memory=memory)["log_probabilities"]
        written.append(int(scores[0, -1].argmax()))
        if written[-1] == reader.target_tokenizer.eos_id:
            return written[1:-1]
    return written[1:]


def test_dates_that_no_training_has_seen_are_written_token_by_token_as_by_torch(run, reader):
    examples = translator.held_out_examples(per_style=15, seed=3)
    texts = [example.text for example in examples][::-1][:200]
    assert len(texts) == 200
    rows = [write_with_graphs(run, reader, text) for text in texts]
    ids = [reader.read(text) for text in texts]
    assert rows == [h.token_ids for h in greedy(reader.model, ids, translator.LONGEST_TARGET)]
    assert list(map(reader.target_tokenizer.decode, rows)) == reader.translate_all(texts)


@pytest.mark.parametrize("length", [1, 2, 3, 31, 64, 255, 256])
def test_the_language_model_on_random_tokens(run, writer, length):
    ids = random_ids(1, length, vocab=1024, least=0)
    assert_equal(run("language_model", token_ids=ids)["logits"], writer.model(ids)[:, -1])


@pytest.mark.parametrize(
    "text", ["", "Returns a new tensor", "import torch\n\n>>> torch.", "今日は🎉"]
)
def test_the_language_model_on_text(run, writer, text):
    ids = torch.tensor([writer.read(text)], dtype=torch.int32)
    probabilities = run("language_model", token_ids=ids)["logits"].softmax(-1)
    assert_equal(probabilities, writer.model(ids)[:, -1].softmax(-1))


def shape(run, logits, temperature, top_k, top_p):
    found = run(
        "next_token",
        logits=logits,
        temperature=torch.tensor(temperature),
        top_k=torch.tensor(top_k),
        top_p=torch.tensor(top_p),
    )
    return found["probabilities"]


@pytest.mark.parametrize("temperature", [0.05, 0.7, 1.0, 3.0, 1e-30, 1e30])
@pytest.mark.parametrize("top_k", [1, 2, 40, 1024, 100_000])
@pytest.mark.parametrize("top_p", [1e-6, 0.31, 0.91, 1.0])
def test_the_distribution_of_the_next_token(run, temperature, top_k, top_p):
    logits = 4 * torch.randn(1, 1024)
    expected = next_token_probabilities(logits, temperature, top_k, top_p)
    found = shape(run, logits, temperature, top_k, top_p)
    assert_equal(found, expected)
    # The same tokens stay, but for those that add nothing to a sum in float32.
    in_one_alone = (found > 0) ^ (expected > 0)
    assert torch.maximum(found, expected)[in_one_alone].sum() < 1e-5


@pytest.mark.parametrize("vocabulary", [1, 2, 15, 1024])
def test_no_cut_is_no_cut(run, vocabulary):
    logits = torch.randn(1, vocabulary)
    found = shape(run, logits, 1.5, vocabulary, 1.0)
    assert_equal(found, (logits / 1.5).softmax(-1))


def test_of_equal_scores_the_first_stay(run):
    logits = torch.tensor([[1.0, 3.0, 1.0, 3.0, 1.0, 3.0]])
    assert shape(run, logits, 1.0, 2, 1.0).tolist() == [[0, 0.5, 0, 0.5, 0, 0]]
    assert (shape(run, logits, 1.0, 4, 1.0) > 0).tolist() == [
        [True, True, False, True, False, True]
    ]


def weights_of(attention):
    """Name the weights of a MultiHeadAttention as the graph's inputs, cut into heads."""
    cut = {"w_o": attention.w_o.weight, "b_o": attention.w_o.bias}
    for letter in "qkv":
        linear = getattr(attention, f"w_{letter}")
        cut[f"w_{letter}"] = linear.weight.unflatten(0, (attention.heads, -1))
        cut[f"b_{letter}"] = linear.bias.unflatten(0, (attention.heads, -1))
    return cut


SIZES = [(1, 1), (2, 1), (2, 2), (6, 3), (8, 8), (12, 1), (16, 4), (64, 4), (64, 64), (128, 8)]


@pytest.mark.parametrize(("d_model", "heads"), SIZES)
@pytest.mark.parametrize("length", [1, 2, 7, 40])
@pytest.mark.parametrize("causal", [0, 1])
def test_attention_with_any_weights(run, d_model, heads, length, causal):
    attention, x = MultiHeadAttention(d_model, heads), torch.randn(length, d_model)
    mask = causal_mask(length) if causal else None
    output, weights = attention(x, mask=mask, need_weights=True)
    switch = torch.tensor(causal, dtype=torch.int32)
    found = run("attention", x=x, **weights_of(attention), causal=switch)
    assert_equal(found["output"], output)
    assert_equal(found["weights"], weights)


def test_exporting_leaves_the_model_as_it_was(reader):
    export.EncoderGraph(reader.model)
    export.DecoderGraph(reader.model)
    for part in reader.model.modules():
        assert not part._forward_hooks
        assert not part._forward_pre_hooks


def read_json(exported, name):
    folder, _ = exported
    return json.loads((folder / name).read_text(encoding="utf-8"))


def test_a_page_finds_the_ids_of_a_date_in_the_json(exported, reader):
    data = read_json(exported, "translator.json")
    text = "令和6年3月5日 (Tue), 5-3.2024/_"
    assert [data["source_tokens"].index(c) for c in text] == reader.read(text)
    assert data["target_tokens"] == reader.target_tokenizer.tokens
    assert data["target_tokens"][data["bos_id"]] == "<bos>"
    assert data["target_tokens"][data["eos_id"]] == "<eos>"
    seen = reader.translate("5 March 2024")
    assert seen.cross_attention.shape[:2] == (data["layers"], data["heads"])
    reader.read("1" * data["longest_source"])
    with pytest.raises(ValueError, match="characters"):
        reader.read("1" * (data["longest_source"] + 1))
    assert data["longest_target"] == len("2024-03-05") + 2


def test_a_page_normalizes_by_the_tables_in_the_json(exported):
    data = read_json(exported, "translator.json")
    assert len(data["alike"]) > 30 and len(data["quotes"]) > 15
    for character, sign in data["alike"].items():
        assert normalize(f"a{character}b") == f"a{sign}b"
    for quote in data["quotes"]:
        if unicodedata.is_normalized(
            "NFKC", quote
        ):  # all but ´, which NFKC makes a space and an accent
            assert normalize(f"{quote}5{quote}") == "5"
    assert normalize("“5・3／2024”") == "5.3/2024"


@pytest.mark.parametrize(
    ("word", "text", "values"),
    [
        ("nothing", " ", {}),
        ("too_long", "7" * 70, {"count": 70, "most": 64}),
        ("unknown", "5 ß 🎉 ß", {"characters": "ß 🎉"}),
        ("unknown", "5 $& {0}", {"characters": "$ &"}),
    ],
)
def test_a_page_says_what_python_says_of_a_text_that_cannot_be_read(
    exported, reader, word, text, values
):
    template = read_json(exported, "translator.json")["words"][word]
    for name, value in values.items():
        template = template.replace(f"{{{name}}}", str(value))
    with pytest.raises(ValueError) as raised:
        reader.read(text)
    assert str(raised.value) == template


def test_a_page_cuts_a_prompt_by_the_json(exported, writer):
    data = read_json(exported, "language_model.json")
    vocabulary = {token: token_id for token_id, token in enumerate(data["tokens"])}
    again = BPETokenizer(vocabulary, list(map(tuple, data["merges"])))
    for text in ("Returns a new tensor with the", "def f(x):\n    return x**2", "今日は良い天気🎉"):
        assert [data["end_id"], *again.encode(text)] == writer.read(text)
    assert len(writer.read("a b " * 1000)) == data["longest_context"]


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (lambda _: export.export_all(None), "folder=None is no path; give a string or"),
        (lambda _: export.export_attention(None), "path=None is no path; give a string or"),
        (lambda p: export.export_encoder("model", p), "model='str' has no such graph; give a Tran"),
        (lambda p: export.export_decoder(LanguageModel(SMALL), p), "graph; give a Transformer"),
        (lambda p: export.export_language_model(Transformer(SMALL), p), "give a LanguageModel"),
    ],
)
def test_wrong_arguments_get_a_sentence(tmp_path, ask, sentence):
    with pytest.raises(ValueError, match=sentence):
        ask(tmp_path / "graph.onnx")
    assert not list(tmp_path.iterdir())
