"""Whose a file is, by its path: what learning management systems, people and their systems call things."""

import re
import unicodedata
from pathlib import Path

LEFT_BY_SYSTEMS = re.compile(
    r"(^|/)(__MACOSX|\.DS_Store|\.ipynb_checkpoints|Thumbs\.db|desktop\.ini|~\$[^/]*|\._[^/]*)(/|$)"
)
# How learning management systems name what students hand in.
MOODLE = re.compile(r"^(?P<student>.+)_(?P<number>\d+)_assignsubmission_(file|onlinetext)_?")
CANVAS = re.compile(r"^(?P<student>[^_]+)(?P<late>_LATE)?_\d+_\d+_(?P<file>.+)$")
BLACKBOARD = re.compile(r"^.+_(?P<student>[^_]+)_attempt_[\d-]+(_(?P<file>.+))?$")
# Blackboard lays a text beside each submission, which says when it came.
RECEIPT = re.compile(r"_attempt_[\d-]+\.txt$")


def plain_name(text: str) -> str:
    """Return a name that is safe as a folder and for nbgrader: letters, digits and `-_.@`.

    >>> plain_name("山田 太郎/../x")
    '山田_太郎_.._x'
    """
    kept = re.sub(r"[^\w.@-]+", "_", unicodedata.normalize("NFC", text)).strip("._-@") or "unnamed"
    return kept[:80]


def same_letters(one: str, other: str) -> bool:
    """Say whether two names are the same but for order, accents and spaces, as platforms change them.

    >>> same_letters("José_Núñez", "nunezjose"), same_letters("ada", "bob")
    (True, False)
    """
    return _letters(one) == _letters(other)


def _letters(name: str) -> list[str]:
    plain = unicodedata.normalize("NFKD", name).casefold()
    return sorted(letter for letter in plain if letter.isalnum())


def shown(text: str) -> str:
    """Return a name as it may stand in a list: what is no character, or steers a line, is a `?`.

    >>> shown("a\\nb\u202ec.ipynb")
    'a?b?c.ipynb'
    """
    return "".join("?" if unicodedata.category(one)[0] == "C" else one for one in text)[:200]


def is_left_behind(origin: str) -> bool:
    """Say whether a system left a file behind; what a cloud has not loaded yet is no such file."""
    left = LEFT_BY_SYSTEMS.search(origin) or RECEIPT.search(origin)
    return bool(left) and not origin.endswith(".icloud")


def owner_of(parts: tuple[str, ...], assignments: tuple[str, ...]) -> tuple[str, str, str, bool]:
    """Return the student, the file's own name, a number that tells namesakes apart, and if it is late.

    Known are Moodle's, Canvas's and Blackboard's names, `student/…/file`, `assignment/student/…/file`,
    and single files called after the student, with or without the assignment.

    >>> owner_of(("Ada Lovelace_4711_assignsubmission_file_", "attention.ipynb"), ("attention",))
    ('Ada Lovelace', 'attention.ipynb', '4711', False)
    >>> owner_of(("lovelaceada_LATE_12_345_attention-1.ipynb",), ("attention",))
    ('lovelaceada', 'attention-1.ipynb', '', True)
    >>> owner_of(("attention", "ada", "work.ipynb"), ("attention",))
    ('ada', 'work.ipynb', '', False)
    >>> owner_of(("ada_attention.ipynb",), ("attention",))
    ('ada', 'ada_attention.ipynb', '', False)
    """
    name = parts[-1]
    for part in parts:
        if match := MOODLE.match(part):
            return match["student"], name, match["number"], False
    for pattern in (CANVAS, BLACKBOARD):
        if match := pattern.match(name):
            groups = match.groupdict()
            own = groups.get("file") or name
            return groups["student"], own, "", bool(groups.get("late"))
    folders = [part for part in parts[:-1] if part not in assignments]
    if folders:
        return folders[0], name, "", False
    stem = Path(name).stem
    for assignment in assignments:
        stem = re.sub(rf"(^{assignment}[-_ ]+|[-_ ]+{assignment}$)", "", stem)
    return stem, name, "", False


def depth_of_wrapper(paths: list[tuple[str, ...]], assignments: tuple[str, ...]) -> int:
    """Return how many folders stand around a whole class: those that everyone's path begins with.

    A student's own folder is none: it holds notebooks, or folders called after assignments.
    """
    depth = around = 0
    while paths and all(len(parts) > depth + 2 for parts in paths):
        first = {parts[depth] for parts in paths}
        inside = {p[depth + 1] for p in paths if p[-1].lower().endswith((".ipynb", ".zip"))}
        if len(first) > 1 or first & set(assignments) or MOODLE.match(*first):
            break
        depth += 1
        if len(inside - set(assignments)) > 1:
            around = depth
    return around


def is_of_a_platform(name: str) -> bool:
    """Say whether a file's name is one that a learning management system gives."""
    return any(pattern.match(name) for pattern in (MOODLE, CANVAS, BLACKBOARD))


def is_of_a_class(names: list[tuple[str, ...]]) -> bool:
    """Say whether a zip holds the work of several students, by how its entries are named."""
    named = any(is_of_a_platform(name[0]) for name in names)
    folders = {name[0] for name in names if len(name) > 1}
    notebooks = [name for name in names if len(name) == 1 and name[0].endswith(".ipynb")]
    return named or len(folders) > 1 or len(notebooks) > 1
