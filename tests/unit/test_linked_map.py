"""The map of the model in a page: what it links, what it says, and what it leaves alone."""

from xml.etree import ElementTree

import pytest

from lesson_tf import figures

SVG = "{http://www.w3.org/2000/svg}"
LESSONS = {part: f"lesson/{number}#part" for number, part in enumerate(figures.MODEL_PARTS)}


@pytest.fixture
def svg(monkeypatch) -> ElementTree.Element:
    monkeypatch.setenv("LESSON_TF_BOOK", "1")
    return ElementTree.fromstring(figures.LinkedMap(LESSONS).svg())


def test_every_part_is_a_link_that_can_be_read(svg):
    named = [link for link in svg.iter(f"{SVG}a") if link.find(f"{SVG}text") is not None]
    hrefs = {link.get("href") for link in named}
    assert hrefs == {f"lesson/{number}.html#part" for number in range(len(LESSONS))}
    assert all(link.find(f"{SVG}text").text.strip() for link in named)


def test_a_box_is_no_second_stop_of_the_keyboard(svg):
    boxes = [link for link in svg.iter(f"{SVG}a") if link.find(f"{SVG}text") is None]
    assert boxes
    assert all(link.get("tabindex") == "-1" and link.get("aria-hidden") for link in boxes)


def test_links_open_in_place(svg):
    assert not any("target" in link.attrib for link in svg.iter(f"{SVG}a"))


def test_it_says_what_is_to_be_seen(svg):
    assert len(svg.get("aria-label").split()) > 20
    assert not [each for each in svg.iter() if "IPAex" in each.get("style", "")]


def test_its_style_and_names_stay_inside(svg):
    rules = svg.find(f".//{SVG}style").text.split("}")[:-1]
    assert all(rule.startswith(".model-map") for rule in rules)
    assert not [each for each in svg.iter() if "id" in each.attrib and "clipPath" not in each.tag]


def test_an_editor_opens_notebooks(monkeypatch):
    monkeypatch.delenv("LESSON_TF_BOOK", raising=False)
    assert 'href="warm_up.ipynb#softmax"' in figures.LinkedMap({"output": "warm_up#softmax"}).svg()


def test_a_part_that_is_not_drawn_is_named():
    with pytest.raises(ValueError, match="links names 'head', which is not drawn"):
        figures.LinkedMap({"head": "attention/multi_head"})


def test_the_bundle_holds_page_picture_and_text():
    bundle, _ = figures.LinkedMap(LESSONS)._repr_mimebundle_()
    assert set(bundle) == {"text/html", "image/png", "text/plain"}
    assert "tokens: lesson/0#part" in bundle["text/plain"]
