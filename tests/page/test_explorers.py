"""Explorers in the built pages: every control moves picture and words, and the numbers are torch's."""

import gzip
import random
import re

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from built_book import HTML, served
from explorers import MOVE, explorer, marks, move, numbers, picture, sentence, slider
from playwright.sync_api import Page, expect

from lesson_tf import explore, translator
from lesson_tf.explore.element import plain_text

PLACES = {
    "softmax": (explore.softmax, "book/en/attention/self_attention.html"),
    "heads": (explore.heads, "book/en/attention/multi_head.html"),
    "masks": (lambda: explore.masks("both"), "book/en/attention/masks_and_cross_attention.html"),
    "merges": (explore.merges, "book/en/tokenization/byte_pair_encoding.html"),
    "waves": (explore.waves, "book/en/positional_encoding/sinusoidal.html"),
    "flow": (explore.flow, "book/en/flow/the_model.html"),
    "next_token": (explore.next_token, "book/en/flow/decoding.html"),
    "translate": (explore.translate, "book/en/flow/decoding.html"),
    "distance": (explore.distance, "book/en/why_it_works/long_range.html"),
}
WITH_TEXT = [name for name, (make, _) in PLACES.items() if make().engine]
HEADS = PLACES["heads"][1]
CLOSE = 0.002
MODEL_FILES = re.compile(r"\.(onnx|wasm)$")

every_explorer = pytest.mark.parametrize("name", PLACES)
every_width = pytest.mark.parametrize("width", [1280, 390])

SETTLED = """async (element) => {
  while (element.working) await new Promise((next) => setTimeout(next, 10));
}"""
# What a state draws, and what it says, in the page; arrays as nested lists.
SHOWN = """async (element, values) => {
  element.set(values);
  while (element.working) await new Promise((next) => setTimeout(next, 10));
  const plain = (value) => value?.data ? { shape: value.shape, data: [...value.data] }
    : Array.isArray(value) ? value.map(plain)
    : value && typeof value === "object"
      ? Object.fromEntries(Object.entries(value).map(([name, item]) => [name, plain(item)]))
    : value;
  return {
    invalid: element.hasAttribute("data-invalid"),
    sentence: element.querySelector(".explorer-sentence").textContent,
    drawn: plain(element.picture.drawn),
  };
}"""


def open_explorer(open_page, name: str, width: int = 1280, **options):
    page = open_page(PLACES[name][1], width, **options)
    return page, explorer(page, name)


def arrays_of(value, path: str = "") -> dict[str, np.ndarray]:
    """Name every array and number in the arguments of a drawing, from Python or from a page."""
    if isinstance(value, dict) and set(value) == {"shape", "data"}:
        return {path: np.array(value["data"], float).reshape(value["shape"])}
    if hasattr(value, "numpy"):
        return {path: value.numpy().astype(float)}
    if isinstance(value, np.ndarray):
        return {path: value.astype(float)}
    if isinstance(value, dict):
        items = [(plain_text(str(name)), item) for name, item in value.items()]
    elif isinstance(value, list | tuple):
        items = list(enumerate(value))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        return {path: np.array(float(value))}
    else:
        return {}
    return {k: v for name, item in items for k, v in arrays_of(item, f"{path}/{name}").items()}


def check_shown(shown: dict, state, shipped: bool = True) -> None:
    """Compare what a page shows with what torch computes; what ships may be told apart for the page."""
    assert not shown["invalid"], shown["sentence"]
    assert shown["sentence"] == state.sentence
    expected = arrays_of(state.arguments | (state.page if shipped else {}))
    drawn = arrays_of(shown["drawn"])
    for path, array in expected.items():
        np.testing.assert_allclose(drawn[path], array, atol=CLOSE, rtol=CLOSE, err_msg=path)
    assert expected


# Moving the controls.


@every_explorer
@every_width
def test_every_slider_moves_picture_and_sentence(open_page, name, width):
    _, found = open_explorer(open_page, name, width)
    for control in PLACES[name][0]().controls:
        if not isinstance(control, explore.Slider):
            continue
        last = len(control.stops) - 1
        here = control.stops.index(control.default)
        there = 0 if here > last / 2 else last
        if name == "heads" and control.name == "heads":
            there = 0  # one head
        shown, before = picture(found), (marks(found), sentence(found))
        move(found, control.name, there)
        assert picture(found) != shown, control.name
        assert sentence(found) != before[1], control.name
        move(found, control.name, here)
        assert (marks(found), sentence(found)) == before


@every_explorer
def test_every_choice_moves_the_picture(open_page, name):
    _, found = open_explorer(open_page, name)
    for control in PLACES[name][0]().controls:
        if not isinstance(control, explore.Choice):
            continue
        group = found.locator("fieldset", has_text=control.name).last
        seen = set()
        for stop in control.stops:
            group.get_by_label(str(stop), exact=True).check()
            seen.add((picture(found), sentence(found)))
        assert len(seen) > 1, control.name


@pytest.mark.parametrize("name", ["softmax", "heads", "waves"])
def test_sliders_move_by_key_and_by_touch(open_page, name):
    page, found = open_explorer(open_page, name, 390, has_touch=True)
    control = next(c for c in PLACES[name][0]().controls if isinstance(c, explore.Slider))
    before = sentence(found)
    handle = slider(found, control.name)
    handle.focus()
    page.keyboard.press("ArrowLeft")
    assert sentence(found) != before
    found.get_by_role("button", name="Reset").click()
    assert sentence(found) == before
    handle.scroll_into_view_if_needed()
    box = handle.bounding_box()
    page.touchscreen.tap(box["x"] + 4, box["y"] + box["height"] / 2)
    assert sentence(found) != before


def test_a_cell_is_read_by_pointer_keys_and_touch(open_page):
    page, found = open_explorer(open_page, "heads", has_touch=True)
    line = found.locator(".explorer-cell")
    stage = found.locator(".explorer-stage")
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    page.mouse.move(box["x"] + 150, box["y"] + 150)
    expect(line).to_contain_text("with weight")
    page.mouse.move(5, 5)
    assert "weight" not in line.inner_text()
    stage.focus()
    page.keyboard.press("ArrowDown")
    expect(line).to_contain_text("令 reads 令")
    page.keyboard.press("ArrowRight")
    expect(line).to_contain_text("令 reads 和")
    expect(found.locator(".explorer-live")).to_contain_text("令 reads 和")
    page.keyboard.press("Escape")
    assert "weight" not in line.inner_text()
    page.touchscreen.tap(box["x"] + 150, box["y"] + 150)
    expect(line).to_contain_text("with weight")


def test_the_question_is_answered_from_the_data_and_moves_the_controls(open_page):
    for answer, verdict in (("more", "You said more"), ("the same number", "Yes"), ("Skip", "the")):
        _, found = open_explorer(open_page, "heads")
        found.get_by_role("button", name=answer, exact=True).click()
        expect(found.locator(".explorer-verdict")).to_contain_text(verdict)
        assert "d_k = 8" in sentence(found)


# The numbers.


def test_every_stop_of_heads_shows_torchs_numbers(open_page):
    _, found = open_explorer(open_page, "heads")
    explorer_ = explore.heads()
    invalid = 0
    for values in explorer_.grid():
        shown = found.evaluate(SHOWN, values)
        try:
            state = explorer_.state(**values)
        except ValueError as error:
            assert shown["invalid"] and shown["sentence"] == str(error)
            invalid += 1
            continue
        check_shown(shown, state)
    assert invalid


@every_explorer
def test_samples_of_all_stops_show_torchs_numbers(open_page, name):
    _, found = open_explorer(open_page, name)
    made = PLACES[name][0]()
    grid = list(made.grid())
    for values in random.Random(0).sample(grid, min(25, len(grid))):
        shown = found.evaluate(SHOWN, values)
        try:
            state = made.state(**values)
        except ValueError as error:
            assert shown["sentence"] == str(error)
        else:
            check_shown(shown, state)


def test_the_table_holds_the_numbers(open_page):
    _, found = open_explorer(open_page, "heads")
    weights = explore.heads().state().arguments["weights"]
    for head, rows in zip(weights, numbers(found), strict=True):
        shown = [[float(number) for number in row[1:]] for row in rows]
        np.testing.assert_allclose(shown, head.numpy(), atol=CLOSE)


# An invalid pair, the address, the reset.


def test_an_invalid_pair_explains_itself_and_offers_valid_ones(open_page):
    _, found = open_explorer(open_page, "heads")
    before = found.locator("svg").inner_html()
    move(found, "heads", 2)
    assert sentence(found).startswith("d_model=64 cannot be split over heads=3; use heads in")
    assert found.locator("svg").inner_html() == before
    offers = found.locator(".explorer-offers button")
    assert offers.all_inner_texts() == ["heads = 2", "heads = 4"]
    offers.first.click()
    assert "d_k = 32" in sentence(found)
    expect(offers.first).not_to_be_visible()


def test_the_address_holds_the_state_and_the_reset_takes_it_out(open_page, home):
    page, found = open_explorer(open_page, "heads")
    before = marks(found), sentence(found)
    move(found, "heads", 7)
    expect(page).to_have_url(re.compile("#heads:heads=8$"))
    shown = sentence(found)
    page.reload()
    found = explorer(page, "heads")
    assert sentence(found) == shown
    found.get_by_role("button", name="Reset").click()
    assert (marks(found), sentence(found)) == before
    expect(page).to_have_url(re.compile(r"multi_head\.html$"))
    expect(found.get_by_role("button", name="Reset")).not_to_be_visible()
    page.goto(f"{home}/{HEADS}#heads:d_model=16&text=%3Cb%3E&heads=nonsense&x=1")
    page.reload()
    assert "translator that ships" in sentence(explorer(page, "heads"))


# A text of the reader's own.


def type_into(found, text: str, field: int = 0) -> None:
    found.locator('input[type="text"]').nth(field).evaluate(MOVE, text)
    found.evaluate(SETTLED)


@pytest.mark.parametrize("text", ["2021年5月3日(月)", "the 3rd of May 2021", "5 Ma"])
def test_ones_own_text_shows_torchs_numbers(open_page, text):
    _, found = open_explorer(open_page, "heads")
    for attention in ("encoder", "decoder", "cross"):
        values = {"text": text, "attention": attention}
        check_shown(found.evaluate(SHOWN, values), explore.heads().state(**values))


@pytest.mark.parametrize("name", ["merges", "flow", "next_token", "translate"])
def test_other_explorers_read_ones_own_text_as_torch_does(open_page, name):
    _, found = open_explorer(open_page, name)
    made = PLACES[name][0]()
    text = next(c.name for c in made.controls if isinstance(c, explore.Text))
    for own in ("9 August 1999", "平成元年1月8日"):
        shown, state = found.evaluate(SHOWN, {text: own}), made.state(**{text: own})
        check_shown(shown, state, shipped=False)


def hostile_texts(count: int) -> list[str]:
    """Make texts that pages have broken on: markup, control characters, emoji, long, right to left."""
    chance = random.Random(1)
    pieces = [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "<b>bold</b>",
        "&lt;&amp;",
        "{query}",
        "${x}",
        "\x00\x07\x1b[31m",
        "\u202e\u2066",
        "\u200b\ufeff",
        "👩‍👩‍👧‍👦",
        "🇯🇵",
        "مرحبا",
        "שלום",
        "か\u3099",
        "\ud83d",
        "\n\r\t",
        "2024",
        "令和",
        "__proto__",
        "constructor",
        "'\"`",
        "javascript:alert(1)",
        "𝔘𝔫𝔦",
        "\u0301" * 20,
        "a" * 10_000,
    ]
    return pieces + ["".join(chance.choices(pieces[:-1], k=3)) for _ in range(count - len(pieces))]


@pytest.mark.parametrize("name", WITH_TEXT)
def test_hostile_texts_raise_nothing_and_insert_nothing(open_page, name):
    page, found = open_explorer(open_page, name)
    page.on("dialog", lambda dialog: pytest.fail(f"a dialog: {dialog.message}"))
    tags = "e => [...new Set([...e.querySelectorAll('*')].map(each => each.localName))].sort()"
    for text in hostile_texts(300):
        type_into(found, text)
        assert sentence(found).strip()
    assert not {"script", "img", "b", "iframe"} & set(found.evaluate(tags))
    found.locator("details summary").click()
    assert not {"script", "img", "b", "iframe"} & set(found.evaluate(tags))


def test_an_input_method_is_not_disturbed_while_it_composes(open_page):
    _, found = open_explorer(open_page, "heads")
    before = sentence(found)
    field = found.locator('input[type="text"]')
    compose = """(input) => {
      input.dispatchEvent(new CompositionEvent("compositionstart"));
      input.value = "れいわ";
      input.dispatchEvent(new Event("input", { bubbles: true }));
    }"""
    field.evaluate(compose)
    found.evaluate(SETTLED)
    assert sentence(found) == before
    assert field.input_value() == "れいわ"
    finish = """(input) => {
      input.value = "令和3年5月3日";
      input.dispatchEvent(new CompositionEvent("compositionend"));
    }"""
    field.evaluate(finish)
    found.evaluate(SETTLED)
    assert sentence(found) == explore.heads().state(text="令和3年5月3日").sentence


# Loading.


def model_requests(page: Page) -> list[str]:
    asked: list[str] = []
    page.on(
        "request", lambda request: MODEL_FILES.search(request.url) and asked.append(request.url)
    )
    return asked


def test_nothing_of_the_model_is_asked_for_before_the_first_key(open_page):
    page, found = open_explorer(open_page, "heads")
    asked = model_requests(page)
    move(found, "heads", 0)
    move(found, "d_model", 0)
    found.get_by_role("button", name="March 5, 2024").click()
    page.wait_for_timeout(200)
    assert not asked
    found.get_by_role("button", name="Reset").click()
    type_into(found, "5 May 2021")
    assert asked and all("/_static/explorers/" in url for url in asked)
    assert len(asked) == len(set(asked))
    first = len(asked)
    type_into(found, "6 May 2021")
    assert len(asked) == first


def test_without_the_network_a_sentence_says_so_and_the_next_text_tries_again(browser, home):
    page = browser.new_page()
    page.goto(f"{home}/{HEADS}")
    found = explorer(page, "heads")
    before = found.locator("svg").inner_html()
    page.context.set_offline(True)
    type_into(found, "5 May 2021")
    assert "cannot be loaded" in sentence(found)
    assert found.locator("svg").inner_html() == before
    move(found, "heads", 0)
    found.get_by_role("button", name="March 5, 2024").click()
    assert "d_k = 64" in sentence(found)
    page.context.set_offline(False)
    found.get_by_role("button", name="Reset").click()
    type_into(found, "6 May 2021")
    assert sentence(found) == explore.heads().state(text="6 May 2021").sentence
    page.close()


def test_below_the_root_of_a_site(open_page, tmp_path):
    (tmp_path / "project").symlink_to(HTML)
    with served(tmp_path) as root:
        page = open_page(f"project/{HEADS}", root=root)
        found = explorer(page, "heads")
        type_into(found, "5 May 2021")
        assert sentence(found) == explore.heads().state(text="5 May 2021").sentence
        page.context.close()


def test_from_a_disk_sliders_work_and_the_model_says_why_not(browser):
    page = browser.new_page()
    page.goto(f"file://{HTML}/{HEADS}")
    found = explorer(page, "heads")
    move(found, "heads", 7)
    assert "d_k = 8" in sentence(found)
    found.get_by_role("button", name="Reset").click()
    type_into(found, "5 May 2021")
    assert "from a web server" in sentence(found)
    page.close()


def kilobytes(path) -> float:
    return len(gzip.compress(path.read_bytes(), 9)) / 1000


def test_the_script_and_the_pages_are_light():
    assert kilobytes(HTML / "_static/explorers/explorers.js") < 25
    for _, page in PLACES.values():
        assert kilobytes(HTML / page) < 120


def test_pages_without_explorers_load_nothing_of_them():
    page = (HTML / "book/en/notation.html").read_text("utf-8")
    assert "explorers/explorers" not in page
    assert "explorers/explorers.js" in (HTML / HEADS).read_text("utf-8")


# For everyone.


@every_explorer
def test_without_scripts_the_picture_and_its_sentence_stand_there(open_page, name):
    page = open_page(PLACES[name][1], java_script_enabled=False)
    found = page.locator(f'lesson-explorer[name="{name}"]').first
    state = PLACES[name][0]().state()
    assert found.locator("img").get_attribute("alt") == state.sentence
    assert found.locator("img").evaluate("image => image.naturalWidth") > 1000
    assert found.inner_text().strip() == state.sentence
    assert not found.locator("input, button").count()


@every_explorer
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_an_explorer_in_use(open_page, name, scheme):
    page, found = open_explorer(open_page, name, scheme=scheme)
    for control in PLACES[name][0]().controls:
        if isinstance(control, explore.Slider):
            move(found, control.name, 0)
    found.locator("details summary").click()
    here = f'lesson-explorer[name="{name}"]'
    result = Axe().run(page, context=here, options={"preload": False})
    serious = [v for v in result.response["violations"] if v["impact"] in ("serious", "critical")]
    assert not serious, serious


@every_explorer
@pytest.mark.parametrize(("width", "scale"), [(390, 1), (640, 2)])
def test_controls_are_large_and_nothing_is_cut_off(open_page, name, width, scale):
    page, found = open_explorer(open_page, name, width, device_scale_factor=scale)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for target in found.locator("button:visible, input:visible").all():
        box = target.bounding_box()
        assert min(box["width"], box["height"]) >= 24
        assert box["x"] >= 0 and box["x"] + box["width"] <= width
    sizes = found.locator("svg text").evaluate_all(
        "all => all.map(text => parseFloat(getComputedStyle(text).fontSize))"
    )
    assert min(sizes) >= 12


@every_explorer
def test_a_picture_keeps_its_height_while_its_sliders_move(open_page, name):
    _, found = open_explorer(open_page, name)
    heights = {round(found.locator("svg").bounding_box()["height"])}
    for control in PLACES[name][0]().controls:
        if isinstance(control, explore.Slider):
            for stop in range(0, len(control.stops), max(1, len(control.stops) // 6)):
                move(found, control.name, stop)
                heights.add(round(found.locator("svg").bounding_box()["height"]))
            move(found, control.name, control.stops.index(control.default))
    assert max(heights) - min(heights) <= 1, heights


def test_numbers_and_words_are_shown_as_typed(open_page):
    """A dated text with a form that no list of the course holds."""
    _, found = open_explorer(open_page, "translate")
    shown = found.evaluate(SHOWN, {"date": "Tue 05.MAR.2024"})
    expected = translator.load().translate("Tue 05.MAR.2024")
    assert "".join(shown["drawn"]["target_tokens"]).startswith(expected.text)


# What readers ran into.


@pytest.mark.parametrize("name", ["heads", "masks", "softmax", "translate", "merges", "distance"])
def test_arrow_keys_end_at_the_last_cell(open_page, name):
    page, found = open_explorer(open_page, name)
    found.locator(".explorer-stage").focus()
    for key in ("ArrowRight", "ArrowDown"):
        for _ in range(60):
            page.keyboard.press(key)
    last = found.locator(".explorer-cell").inner_text()
    assert last.strip()
    page.keyboard.press("ArrowLeft")
    assert found.locator(".explorer-cell").inner_text().strip()


def test_a_pinned_head_that_goes_away_is_let_go(open_page):
    page, found = open_explorer(open_page, "heads")
    move(found, "heads", 7)
    found.locator(".explorer-stage").focus()
    for _ in range(60):
        page.keyboard.press("ArrowRight")
    assert "head 8" in found.locator(".explorer-cell").inner_text()
    for stop in (3, 1, 0):
        move(found, "heads", stop)
        assert "head" not in found.locator(".explorer-cell").inner_text()
        assert f"d_k = {64 // (stop + 1)}" in sentence(found)


def test_the_large_head_is_the_one_that_the_sentence_names(open_page):
    _, found = open_explorer(open_page, "heads")
    for attention in ("encoder", "cross", "decoder"):
        shown = found.evaluate(SHOWN, {"attention": attention, "heads": 8})
        named = re.search(r"in head (\d)", shown["sentence"])[1]
        assert found.locator("svg text.title.lit").all_text_contents() == [f"head {named}"]


def test_the_focus_stays_in_an_explorer_whose_button_vanishes(open_page):
    page, found = open_explorer(open_page, "heads")
    inside = "element => element.contains(document.activeElement)"
    move(found, "heads", 2)
    found.locator(".explorer-offers button").first.press("Enter")
    assert found.evaluate(inside)
    found.get_by_role("button", name="Reset").press("Enter")
    assert found.evaluate(inside)
    assert page.evaluate("document.activeElement.localName") == "input"


def test_a_reset_stops_what_plays(open_page):
    page, found = open_explorer(open_page, "translate")
    move(found, "step", 0)
    found.get_by_role("button", name="Play step").click()
    page.wait_for_timeout(900)
    assert not sentence(found).startswith("Step 1 ")
    found.get_by_role("button", name="Reset").click()
    before = sentence(found)
    page.wait_for_timeout(1000)
    assert sentence(found) == before


def test_while_the_model_loads_no_old_sentence_passes_for_the_answer(open_page):
    _, found = open_explorer(open_page, "translate")
    before = sentence(found)
    typed = """(element, text) => {
      element.set({ date: text });
      const said = element.querySelector(".explorer-sentence").textContent;
      return [said, element.hasAttribute("data-working")];
    }"""
    said, working = found.evaluate(typed, "5 May 2021")
    assert said != before and working
    found.evaluate(SETTLED)
    assert found.get_attribute("data-working") is None
    assert "2021-05-05" in sentence(found)
