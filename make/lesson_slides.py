"""What a lesson of the built book gives to the slides: title, prediction, figures, answer, questions."""

import base64
import html
import tomllib
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from bs4 import BeautifulSoup, Tag
from PIL import Image

ANSWERS = Path(__file__).with_name("slides_answers.toml")
# A picture narrower than this, as width by height, has its caption beside it.
TALL = 1.3


class NotUnderstoodError(ValueError):
    """A page lacks what its slides are made of; the message names the page and what is missing."""


@dataclass(frozen=True)
class Slide:
    """One slide: what kind it is, its content, and the lesson or part that its corner names."""

    kind: str
    content: str
    corner: str


@dataclass(frozen=True)
class Lesson:
    """One lesson: the file of its built page, and the article in it."""

    file: Path
    page: BeautifulSoup

    @property
    def article(self) -> Tag:
        """Return the element that holds the text."""
        return self.page.article

    @property
    def title(self) -> str:
        """Return the lesson's title as HTML."""
        return inside(self.find("h1", "title"))

    def find(self, selector: str, what: str) -> Tag:
        """Return the first element that a selector finds; raise NotUnderstoodError if none."""
        return self.article.select_one(selector) or self.miss(what)

    def miss(self, what: str) -> NoReturn:
        """Raise NotUnderstoodError about something that the page has not."""
        place = "/".join(self.file.parts[-2:])
        raise NotUnderstoodError(f"{place} has no {what}, so no slides were made of it.")


def read_lesson(file: Path) -> Lesson:
    """Read a built page, its formulas as MathML, which browsers draw without a style sheet."""
    if not file.exists():
        raise NotUnderstoodError(f"There is no page {file}: `make book` builds it.")
    page = BeautifulSoup(file.read_text("utf-8"), "html.parser")
    for left_out in page.select(".katex-html, annotation, .headerlink"):
        left_out.decompose()
    return Lesson(file, page)


def inside(element: Tag) -> str:
    """Return an element's content as plain HTML: no links, classes or ids, formulas as they are."""
    plain = copy(element)
    for tag in plain.find_all(True):
        if tag.name in ("a", "span"):
            tag.unwrap()
        elif tag.name != "math" and not tag.find_parent("math"):
            tag.attrs = {}
    return plain.decode_contents().strip()


def words(element: Tag) -> str:
    """Return an element's text with single spaces."""
    return " ".join(element.get_text().split())


def without_lead_in(text: str) -> str:
    """Leave out a last sentence that ends in a colon and leads to code which no slide shows."""
    if not text.endswith(":") or ". " not in text:
        return text
    return text[: text.rindex(". ") + 1]


def title_slide(lesson: Lesson) -> Slide:
    """Show a lesson's title and the sentence that says what it is about."""
    first = lesson.find("h1 + p", "sentence below its title")
    body = f'<h2>{lesson.title}</h2><p class="lead">{inside(first)}</p>'
    return Slide("title", body, lesson.title)


def prediction_text(lesson: Lesson) -> str:
    """Return the prediction as paragraphs and lists, without its answer and its title."""
    box = copy(lesson.find(".tip.admonition", "prediction"))
    box.select_one(".admonition-title").decompose()
    for answer in box.select("details"):
        answer.decompose()
    return inside(box)


def prediction_slide(lesson: Lesson) -> Slide:
    """Show the prediction alone."""
    return Slide("prediction", f"<h3>Predict first</h3>{prediction_text(lesson)}", lesson.title)


def answer_paragraphs(lesson: Lesson) -> list[Tag]:
    """Return the paragraphs with which a lesson answers its prediction."""
    known = tomllib.loads(ANSWERS.read_text("utf-8"))
    beginnings = known.get(lesson.file.parent.name, {}).get(lesson.file.stem)
    if not beginnings:
        lesson.miss("answer to its prediction named in make/slides_answers.toml")
    found = []
    for beginning in beginnings:
        matching = (p for p in lesson.article.select("p") if words(p).startswith(beginning))
        missing = f"paragraph that begins “{beginning}” (see make/slides_answers.toml)"
        found.append(next(matching, None) or lesson.miss(missing))
    return found


def answer_slide(lesson: Lesson, paragraph: Tag, is_last: bool) -> Slide:
    """Show the prediction again, small, and a paragraph of its answer."""
    text = inside(paragraph)
    text = without_lead_in(text) if is_last else text
    body = f'<div class="reminder">{prediction_text(lesson)}</div>'
    body += f'<div class="answer"><p>{text}</p></div>'
    return Slide("answered", f"<h3>The prediction, answered</h3>{body}", lesson.title)


def caption_of(lesson: Lesson, picture: Tag) -> Tag:
    """Return the paragraph below a picture, which begins with a bold noun.

    Between the two may stand an explorer's note and cells without a picture.
    """
    cell = picture.find_parent("div", class_="cell")
    for below in cell.find_next_siblings() if cell else ():
        classes = below.get("class", [])
        if "explorer-note" in classes or ("cell" in classes and not below.find("img")):
            continue
        if below.name == "p" and getattr(below.contents[0], "name", None) == "strong":
            return below
        break
    return lesson.miss(f"caption below the figure “{picture.get('alt', '')[:60]}”")


def figure_slide(lesson: Lesson, picture: Tag, page_link: str) -> Slide:
    """Show a picture with its caption; an explorer's still picture leads to the live one."""
    file = lesson.file.parent / picture["src"]
    if not file.exists():
        lesson.miss(f"file for its picture {picture['src']}")
    with Image.open(file) as image:
        ratio = image.width / image.height
    data = base64.b64encode(file.read_bytes()).decode()
    alt = html.escape(picture.get("alt") or lesson.miss(f"words for its picture {file.name}"))
    shown = f'<img src="data:image/png;base64,{data}" alt="{alt}" style="--ratio:{ratio:.4f}">'
    caption = inside(caption_of(lesson, picture))
    is_live = picture.find_parent("lesson-explorer") is not None
    if is_live:
        place = picture.find_parent("section")["id"]
        link = f'<a href="{page_link}#{place}">Open it live, in “{lesson.title}”</a>'
        caption += f'<p class="live">{link}</p>'
    kind = ("explorer" if is_live else "figure") + (" tall" if ratio < TALL else "")
    body = f'<figure><div class="frame">{shown}</div><figcaption>{caption}</figcaption></figure>'
    return Slide(kind, body, lesson.title)


def asked_before(fold: Tag) -> str:
    """Return the question and choices that stand between a folded answer and the one before it."""
    texts = []
    for element in fold.find_previous_siblings():
        if element.name in ("details", "h2"):
            break
        if element.name == "ul":
            texts.append(f'<ul class="choices">{inside(element)}</ul>')
        elif element.name == "p":
            texts.append(f"<p>{inside(element)}</p>")
    return "".join(reversed(texts))


def question_slides(lesson: Lesson) -> Iterator[Slide]:
    """Show each question, then the same with its answer."""
    section = lesson.find("#check-yourself", "section “Check yourself”")
    folds = section.find_all("details", class_=False, recursive=False)
    for number, fold in enumerate(folds or lesson.miss("question to check oneself"), start=1):
        question = asked_before(fold) or lesson.miss(f"text of question {number}")
        body = f"<h3>Check yourself, {number} of {len(folds)}</h3>{question}"
        answer = copy(fold)
        answer.summary.decompose()
        yield Slide("question", body, lesson.title)
        yield Slide("answered", f'{body}<div class="answer">{inside(answer)}</div>', lesson.title)


def lesson_slides(lesson: Lesson, page_link: str) -> Iterator[Slide]:
    """Give a lesson's slides: the title, then what the page shows in its order, then questions."""
    yield title_slide(lesson)
    if not lesson.article.select("img"):
        lesson.miss("figure")
    prediction = lesson.find(".tip.admonition", "prediction")
    answers = answer_paragraphs(lesson)
    for element in lesson.article.select(".tip.admonition, img, p"):
        if element is prediction:
            yield prediction_slide(lesson)
        elif element.name == "img":
            yield figure_slide(lesson, element, page_link)
        elif any(element is answer for answer in answers):
            yield answer_slide(lesson, element, is_last=element is answers[-1])
    yield from question_slides(lesson)
