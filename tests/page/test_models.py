"""The models in the page: what the browser computes is what torch computes, and hostile text harms nothing."""

import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from built_book import ROOT, Watch, served
from playwright.sync_api import Browser, Page

from lesson_tf import language_model, translator
from lesson_tf.attention import MultiHeadAttention
from lesson_tf.decoding import beam_search, greedy, next_token_probabilities

THEME = ROOT / "book" / "theme"
RUNTIME = (
    "ort.wasm.min.mjs",
    "ort-wasm-simd-threaded.mjs",
    "ort-wasm-simd-threaded.wasm",
)
PAGE = """<!doctype html>
<meta charset="utf-8">
<title>models</title>
<script type="module">
import { nextToken } from "./explorers/model/language_model.js";
import * as runtime from "./explorers/model/runtime.js";
import { translate } from "./explorers/model/translator.js";
runtime.setBase(new URL("./files/", location.href).href);
const plain = ({ data, shape }) => ({ data: [...data], shape });
const reason = (error) => `${error.name}: ${error.message}`;
window.models = { nextToken, plain, reason, runtime, translate };
</script>
"""
CLOSE = 1e-4
SHAPINGS = [
    {},
    {"temperature": 0.3},
    {"temperature": 2.0, "top_k": 10},
    {"top_k": 5000},
    {"top_p": 0.9},
    {"temperature": 1.3, "top_k": 50, "top_p": 0.6},
]


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the scripts, the runtime and the exported models, under a path as a project's pages have."""
    top = tmp_path_factory.mktemp("models")
    folder = top / "project"
    # A process of its own, since the unit tests' checks of shapes, in this one, would stand in its way.
    command = [sys.executable, "-m", "lesson_tf.export", folder / "files"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    for name in RUNTIME:
        shutil.copy(THEME / "node_modules" / "onnxruntime-web" / "dist" / name, folder / "files")
    shutil.copytree(THEME / "explorers", folder / "explorers")
    Path(folder / "page.html").write_text(PAGE, encoding="utf-8")
    with served(top) as home:
        yield f"{home}/project/page.html"


@pytest.fixture(scope="module")
def page(browser: Browser, address: str) -> Iterator[Page]:
    """Open one page for all tests; none of its requests may fail or leave the server."""
    page = browser.new_page()
    watch = Watch(page, address.rsplit("/", 2)[0])
    page.goto(address)
    page.wait_for_function("window.models")
    yield page
    page.close()
    assert not watch.troubles, "\n".join(watch.troubles)


@pytest.fixture(scope="module")
def reader() -> translator.Translator:
    return translator.load()


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """Give at least 500 dates that no training has seen, of every style."""
    texts = [example.text for example in translator.held_out_examples(per_style=30, seed=7)]
    assert len(texts) >= 500
    return texts


def ask(page: Page, body: str, argument: object = None) -> object:
    """Run the body of an asynchronous function in the page; `given` is its argument."""
    # A limit is set by the page itself, since evaluate knows none.
    limit = "new Promise((_, late) => setTimeout(() => late(new Error('too slow')), 120_000))"
    return page.evaluate(
        f"given => Promise.race([(async () => {{ const m = window.models; {body} }})(), {limit}])",
        argument,
    )


def in_batches(texts: list[str], reader, write, **arguments) -> list:
    """Let torch write many dates, those of one length together, in the order of the texts."""
    rows = [reader.read(text) for text in texts]
    answers = [None] * len(rows)
    for length in sorted({len(row) for row in rows}):
        places = [place for place, row in enumerate(rows) if len(row) == length]
        found = write(
            reader.model,
            [rows[place] for place in places],
            max_new_tokens=translator.LONGEST_TARGET,
            **arguments,
        )
        for place, written in zip(places, found, strict=True):
            answers[place] = written
    return answers


def test_first_use_shows_progress(page, capsys):
    took, heard = ask(
        page,
        """
        const heard = [];
        const start = performance.now();
        await m.translate("令和6年3月5日(火)", {}, (part) => heard.push(part));
        return [performance.now() - start, heard];
        """,
    )
    with capsys.disabled():
        print(f"\nfirst date: {took:.0f} ms")
    assert len(heard) > 3 and heard == sorted(heard)
    assert heard[0] < 0.5 and heard[-1] == 1


def test_greedy_translations_are_torchs_token_by_token(page, reader, texts):
    written = ask(
        page,
        """
        const all = [];
        for (const text of given) {
          const { text: iso, targetTokens, sourceTokens } = await m.translate(text);
          all.push([iso, targetTokens, sourceTokens.length]);
        }
        return all;
        """,
        texts,
    )
    target = reader.target_tokenizer
    for text, found, wanted in zip(texts, written, in_batches(texts, reader, greedy), strict=True):
        tokens = [target.tokens[i] for i in wanted.token_ids] + ["<eos>"] * wanted.ended
        assert found == [target.decode(wanted.token_ids), tokens, len(text)]


def test_beams_are_pythons(page, reader, texts):
    written = ask(
        page,
        """
        const all = [];
        for (const text of given) all.push(await m.translate(text, { decoding: "beam", width: 4 }));
        return all.map(({ text, texts }) => [text, texts]);
        """,
        texts,
    )
    for (best, found), beams in zip(
        written, in_batches(texts, reader, beam_search, width=4), strict=True
    ):
        assert best == reader.target_tokenizer.decode(beams[0].token_ids)
        assert found[0]["text"] == best
        assert [text["score"] for text in found] == pytest.approx(
            [beam.score() for beam in beams], abs=CLOSE
        )


def test_a_sample_depends_on_its_seed_and_with_one_choice_is_greedy(page):
    found = ask(
        page,
        """
        const write = async (options) => (await m.translate("5 May 2024", { decoding: "sample", ...options })).text;
        const wild = { temperature: 50 };
        return {
          one: await write({ topK: 1, ...wild }),
          nearlyCold: await write({ temperature: 1e-3 }),
          seeds: [await write({ seed: 1, ...wild }), await write({ seed: 1, ...wild }), await write({ seed: 2, ...wild })],
        };
        """,
    )
    assert found["one"] == found["nearlyCold"] == "2024-05-05"
    assert found["seeds"][0] == found["seeds"][1] != found["seeds"][2]


@pytest.mark.parametrize("decoding", ["greedy", "beam", "sample"])
def test_arrays_of_a_translation_are_those_of_torch(page, reader, texts, decoding):
    chosen = [*texts[:: len(texts) // 20], "5", "no date at all, -- 月月月"]
    options = {"decoding": decoding, "temperature": 2.5, "topK": 8, "topP": 0.99, "seed": 3}
    written = ask(
        page,
        """
        const all = [];
        for (const text of given.chosen) {
          const found = await m.translate(text, given.options);
          for (const name of ["encoderAttention", "decoderAttention", "crossAttention", "probabilities", "stream"]) {
            found[name] = m.plain(found[name]);
          }
          all.push(found);
        }
        return all;
        """,
        {"chosen": chosen, "options": options},
    )
    for text, found in zip(chosen, written, strict=True):
        target = reader.target_tokenizer
        ids = [target.vocabulary[token] for token in found["targetTokens"]]
        wanted = look_back(reader, text, ids)
        assert found["sourceTokens"] == wanted.source_tokens
        assert found["text"] == wanted.text and found["vocabulary"] == wanted.vocabulary
        assert found["tokenProbabilities"] == pytest.approx(wanted.token_probabilities, abs=CLOSE)
        assert_close(found["encoderAttention"], wanted.encoder_attention)
        assert_close(found["decoderAttention"], wanted.decoder_attention)
        assert_close(found["crossAttention"], wanted.cross_attention)
        assert_close(found["probabilities"], wanted.probabilities)
        assert_close(found["stream"], residual_stream(reader, text))


def look_back(reader, text: str, ids: list[int]) -> translator.Translation:
    """Let torch look at a text that the page wrote."""
    ended = ids[-1] == reader.target_tokenizer.eos_id
    hypothesis = translator.Hypothesis(ids[:-1] if ended else ids, [0.0] * len(ids), ended)
    return reader.translate(text, decode=lambda *_, **__: [hypothesis])


@torch.no_grad()
def residual_stream(reader, text: str) -> torch.Tensor:
    """Run the encoder's layers one by one, and each layer's attention alone."""
    x = reader.model.source_embedding(torch.tensor([reader.read(text)]))
    found = [x]
    for layer in reader.model.encoder.layers:
        attend = layer.self_attention
        found.append(layer.attention_residual(x, lambda y, attend=attend: attend(y)[0]))
        x = layer(x)
        found.append(x)
    return torch.cat(found)


def assert_close(found: dict, wanted: torch.Tensor) -> None:
    assert found["shape"] == list(wanted.shape)
    difference = torch.tensor(found["data"]) - wanted.double().flatten()
    assert difference.abs().max() <= CLOSE


def test_the_next_token_is_as_probable_as_in_torch(page):
    writer = language_model.load()
    given = prompts()
    found = ask(
        page,
        """
        const all = [];
        for (const prompt of given.prompts) {
          for (const { temperature, top_k: topK, top_p: topP } of given.shapings) {
            const found = await m.nextToken(prompt, { temperature, topK, topP });
            const { ids, pieces, names, probabilities, raw } = found;
            all.push({ ids, pieces, names: names.length, probabilities: [...probabilities], raw: [...raw] });
          }
        }
        return all;
        """,
        {"prompts": given, "shapings": SHAPINGS},
    )
    on_the_edge = 0
    for prompt in given:
        ids = writer.read(prompt)
        with torch.no_grad():
            logits = writer.model.eval()(torch.tensor([ids]))[0, -1]
        raw = next_token_probabilities(logits)
        for shaping in SHAPINGS:
            answer = found.pop(0)
            assert answer["ids"] == ids and answer["pieces"] == [writer.name(i) for i in ids]
            assert answer["names"] == len(writer.tokenizer)
            assert (torch.tensor(answer["raw"]) - raw).abs().max() <= CLOSE
            if cut_is_close(logits, **shaping):
                on_the_edge += 1
                continue
            wanted = next_token_probabilities(logits, **shaping)
            assert (torch.tensor(answer["probabilities"]) - wanted).abs().max() <= CLOSE
    assert not found
    assert on_the_edge <= len(given) // 10


def cut_is_close(logits, temperature=1.0, top_k=None, top_p=None) -> bool:
    """Say whether rounding alone decides if one more token stays among those that reach top_p."""
    if top_p is None:
        return False
    ranked = next_token_probabilities(logits.double(), temperature, top_k).sort().values.flip(0)
    reached = ranked.cumsum(0)
    return bool(((reached - top_p).abs() < 1e-5).any())


def prompts() -> list[str]:
    """Give the beginning of a text, prompts of all lengths and scripts, and one longer than the context."""
    rng = random.Random(8)
    words = Path(translator.__file__).read_text(encoding="utf-8").split()
    drawn = [" ".join(rng.choices(words, k=rng.randint(1, 60))) for _ in range(40)]
    special = [
        "",
        " ",
        "令和6年3月5日",
        "Returns a new tensor",
        "import torch\n",
        "😀 \u0007",
        "é" * 9,
    ]
    return [*drawn, *special, "word " * 400, "x" * 300, "<eos>"]


def test_hostile_text_gets_an_answer_or_a_sentence(page):
    answers = ask(
        page,
        """
        const answers = [];
        for (const text of [...given, ...given.slice(0, 20).map((text) => `${text}\ud83d`)]) {
          const found = [];
          for (const read of [m.translate, m.nextToken]) {
            try {
              const answer = await read(text);
              found.push(["answer", answer.text ?? answer.pieces.join("")]);
            } catch (error) {
              found.push([error.name, error.message]);
            }
          }
          answers.push(found);
        }
        return answers;
        """,
        hostile(),
    )
    assert len(answers) >= 300
    dates = [date for date, _ in answers]
    assert {kind for kind, _ in dates} == {"answer", "Unreadable"}
    # Normalization leaves no brace in a text: one in a sentence would be a template's own.
    assert all(text and "{" not in text for _, text in dates)
    tokens = [token for _, token in answers]
    assert {kind for kind, _ in tokens[:-20]} == {"answer"}
    assert {kind for kind, _ in tokens[-20:]} == {"Unreadable"}


def hostile() -> list[str]:
    """Make texts that nobody meant: markup, control characters, emoji, right to left, endless."""
    rng = random.Random(9)
    pieces = [
        "<img src=x onerror=alert(1)>",
        "</script><script>",
        "&lt;b&gt;",
        "${1+1}",
        "{count}",
        "__proto__",
        "constructor",
        "\u0000",
        "\u001b[31m",
        "\u202e",
        "\u2066\u2069",
        "שלום",
        "مرحبا ٢٠٢٤",
        "👩‍👩‍👧‍👦",
        "🇯🇵",
        "e" + "\u0301" * 40,
        "\ufdfa",
        "\ufeff",
        "\U0010ffff",
        "\ue000",
        "令和6年",
        "3月5日",
        "2024-03-05",
        "5/3",
        "\t\n\r",
        "'\";--",
        "%00",
        "٣",
        "ﷺ",
        "Ⅻ",
    ]
    drawn = ["".join(rng.choices(pieces, k=rng.randint(1, 6))) for _ in range(240)]
    digits = [
        "".join(rng.choices("0123456789-/., 年月日", k=rng.randint(1, 64))) for _ in range(40)
    ]
    return [*pieces, *drawn, *digits, *(piece[0] * 10_000 for piece in pieces[::6])]


def test_attention_in_the_page_is_multi_head_attention(page):
    for length, d_model, heads, causal in (
        (1, 2, 1, 0),
        (3, 8, 4, 1),
        (12, 64, 8, 0),
        (7, 6, 3, 1),
    ):
        torch.manual_seed(d_model)
        attention = MultiHeadAttention(d_model, heads).eval()
        x = torch.randn(length, d_model)
        mask = torch.ones(length, length, dtype=torch.bool).tril() if causal else None
        with torch.no_grad():
            wanted = attention(x, mask=mask, need_weights=True)
        d_k = d_model // heads
        feeds = {"x": [x, [length, d_model]], "w_o": [attention.w_o.weight, [d_model, d_model]]}
        feeds["b_o"] = [attention.w_o.bias, [d_model]]
        for name in "qkv":
            projection = getattr(attention, f"w_{name}")
            feeds[f"w_{name}"] = [projection.weight, [heads, d_k, d_model]]
            feeds[f"b_{name}"] = [projection.bias, [heads, d_k]]
        feeds = {name: [t.flatten().tolist(), shape] for name, (t, shape) in feeds.items()}
        found = ask(
            page,
            """
            const [session] = await m.runtime.open(["attention"]);
            const feeds = { causal: m.runtime.tensor("int32", [given.causal], []) };
            for (const [name, [values, shape]] of Object.entries(given.feeds)) {
              feeds[name] = m.runtime.tensor("float32", values, shape);
            }
            const { output, weights } = await m.runtime.run(session, feeds);
            return [output, weights].map(({ data, dims }) => m.plain({ data, shape: dims }));
            """,
            {"causal": causal, "feeds": feeds},
        )
        for one, other in zip(found, wanted, strict=True):
            assert_close(one, other)


def test_later_results_are_quick(page, capsys):
    # By now the browser has compiled what it runs.
    took = ask(
        page,
        """
        const prompt = "Computes the mean of all elements in the input tensor along the dimension. ";
        const works = {
          "a date": () => m.translate("令和6年3月5日(火)"),
          "a date by 4 beams": () => m.translate("Tuesday, 5 March 2024", { decoding: "beam" }),
          "a token after 50 or so": (i) => m.nextToken(`${prompt.repeat(3)}${i}`),
          "a token after 256": (i) => m.nextToken(`${prompt.repeat(30)}${i}`),
          "another temperature": (i) => m.nextToken(prompt, { temperature: 1 + i / 9, topK: 40, topP: 0.9 }),
        };
        const took = {};
        for (const [name, work] of Object.entries(works)) {
          took[name] = [];
          for (let i = 0; i < 31; i++) {
            const start = performance.now();
            await work(i);
            took[name].push(performance.now() - start);
          }
        }
        return took;
        """,
    )
    ordered = {name: sorted(times) for name, times in took.items()}
    with capsys.disabled():
        for name, times in ordered.items():
            print(
                f"\n{name:24} {times[0]:6.1f} ms at least, {times[15]:6.1f} in the middle", end=""
            )
    # Other work on the machine slows many, but not the quickest of each.
    assert all(times[0] < 30 for name, times in ordered.items() if name != "a token after 256")


def test_a_failed_load_raises_and_is_tried_again(browser, address):
    page = browser.new_page()
    page.goto(address)
    page.wait_for_function("window.models")
    for file in ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "*.wasm", "*decoder.onnx"):
        page.route(f"**/files/{file}*", lambda route: route.abort())
        failed = ask(page, 'return m.translate("5 May 2024").then(() => "", m.reason);')
        assert failed and not failed.startswith("Unreadable")
        page.unroute(f"**/files/{file}*")
    assert ask(page, 'return (await m.translate("5 May 2024")).text;') == "2024-05-05"
    page.close()


def test_a_failed_description_is_read_again(browser, address):
    page = browser.new_page()
    page.goto(address)
    page.wait_for_function("window.models")
    page.route("**/*.json", lambda route: route.abort())
    for call in ('m.translate("5")', 'm.nextToken("5")'):
        assert ask(page, f'return {call}.then(() => "", m.reason);')
    page.unroute("**/*.json")
    assert ask(page, 'return (await m.translate("5 May 2024")).text;') == "2024-05-05"
    assert ask(page, 'return (await m.nextToken("a")).pieces;') == ["<eos>", "a"]
    page.close()


def test_nothing_is_loaded_before_there_is_something_to_read(browser, address):
    page = browser.new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    page.wait_for_function("window.models")
    message = ask(page, 'return m.translate(" ").then(() => "", (error) => error.message);')
    assert message == translator.NOTHING_TO_READ
    assert not [url for url in asked if url.endswith((".wasm", ".onnx")) or "ort" in url]
    page.close()
