"""What came in: folders and zips as learning management systems write them, read without trust.

Every file ends as a submission or as a refusal with its reason; none stops the others.
"""

import io
import re
import stat
import unicodedata
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

MOST_BYTES = 20 * 2**20
MOST_FILES = 5_000
DEEPEST_ZIP = 2
LEFT_BY_SYSTEMS = re.compile(
    r"(^|/)(__MACOSX|\.DS_Store|\.ipynb_checkpoints|Thumbs\.db|desktop\.ini)(/|$)"
)

# How learning management systems name what students hand in.
MOODLE = re.compile(r"^(?P<student>.+)_(?P<number>\d+)_assignsubmission_(file|onlinetext)_?")
CANVAS = re.compile(r"^(?P<student>[^_]+)(?P<late>_LATE)?_\d+_\d+_(?P<file>.+)$")
BLACKBOARD = re.compile(r"^.+_(?P<student>[^_]+)_attempt_[\d-]+(_(?P<file>.+))?$")


@dataclass(frozen=True)
class File:
    """One file that came in: whose it is, its name as it was, its bytes, and when it was written."""

    student: str
    origin: str
    name: str
    data: bytes
    written: float = 0.0
    number: str = ""
    late: bool = False


@dataclass(frozen=True)
class Refusal:
    """Something that is not graded, and why; the student may be a guess.

    `replaced` says that a later submission took its place.
    """

    student: str
    origin: str
    reason: str
    assignment: str = ""
    replaced: bool = False


class _RefusedError(Exception):
    """Why a file cannot be read."""


def plain_name(text: str) -> str:
    """Return a name that is safe as a folder and for nbgrader: letters, digits and `-_.@`.

    >>> plain_name("山田 太郎/../x")
    '山田_太郎_.._x'
    """
    kept = re.sub(r"[^\w.@-]+", "_", unicodedata.normalize("NFC", text)).strip("._-@") or "unnamed"
    return kept[:80]


def files_in(top: Path, assignments: tuple[str, ...]) -> tuple[list[File], list[Refusal]]:
    """Return the files below a folder, or in a zip, and what was refused.

    Raises ValueError if there is no such folder or zip.
    """
    if not top.exists():
        raise ValueError(f"there is no {top}; give the folder or the zip with the submissions")
    files: list[File] = []
    refused: list[Refusal] = []
    for parts, read in _walk(top):
        origin = "/".join(parts)
        if LEFT_BY_SYSTEMS.search(origin):
            continue
        student, name, number, late = whose(parts, assignments)
        try:
            data, written = read()
        except (_RefusedError, OSError, zipfile.BadZipFile, RuntimeError) as error:
            refused.append(Refusal(student, origin, str(error) or "it cannot be read"))
            continue
        if name.lower().endswith(".zip"):
            inner, inner_refused = _files_in_zip(parts, data, assignments)
            files += inner
            refused += inner_refused
        else:
            files.append(File(student, origin, name, data, written, number, late))
    return _told_apart(files), refused


def _walk(top: Path) -> Iterator[tuple[tuple[str, ...], object]]:
    """Yield the parts of each path below a folder, and a function that reads the file."""
    if top.is_file():
        yield (top.name,), lambda: _read(top)
        return
    for path in sorted(top.rglob("*"))[:MOST_FILES]:
        if path.is_symlink():
            yield path.relative_to(top).parts, _refuse("it is a link, which is not followed")
        elif path.is_file():
            yield path.relative_to(top).parts, lambda path=path: _read(path)


def _refuse(reason: str):
    def read():
        raise _RefusedError(reason)

    return read


def _read(path: Path) -> tuple[bytes, float]:
    size = path.stat().st_size
    # A zip of a whole class may be larger than one notebook.
    most = MOST_BYTES * (50 if path.suffix.lower() == ".zip" else 1)
    if size > most:
        raise _RefusedError(f"it has {size / 2**20:.0f} MiB; {most // 2**20} are allowed")
    return path.read_bytes(), path.stat().st_mtime


def _files_in_zip(
    parts: tuple[str, ...], data: bytes, assignments: tuple[str, ...], depth: int = 1
) -> tuple[list[File], list[Refusal]]:
    """Return the files of a zip: of one student, or of a class if its entries name several."""
    origin = "/".join(parts)
    files: list[File] = []
    refused: list[Refusal] = []
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        student = whose(parts, assignments)[0]
        return [], [Refusal(student, origin, f"the zip cannot be opened: {error}")]
    entries = [entry for entry in entries if not LEFT_BY_SYSTEMS.search(entry.filename)]
    above = () if _is_of_a_class(parts, entries) else (*parts[:-1], Path(parts[-1]).stem)
    for entry in entries[:MOST_FILES]:
        inside = tuple(
            part for part in re.split(r"[/\\]", entry.filename) if part not in ("", ".", "..")
        )
        place = (*above, *inside)
        student, name, number, late = whose(place, assignments)
        try:
            content = _read_entry(archive, entry)
        except (
            _RefusedError,
            zipfile.BadZipFile,
            RuntimeError,
            OSError,
            NotImplementedError,
        ) as error:
            refused.append(Refusal(student, f"{origin}/{entry.filename}", str(error)))
            continue
        if name.lower().endswith(".zip") and depth < DEEPEST_ZIP:
            inner, inner_refused = _files_in_zip(place, content, assignments, depth + 1)
            files += inner
            refused += inner_refused
        else:
            files.append(
                File(student, f"{origin}/{entry.filename}", name, content, 0.0, number, late)
            )
    return files, refused


def _read_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """Read one entry, and no more than is allowed, whatever size it claims."""
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise _RefusedError("it is a link, which is not followed")
    with archive.open(entry) as stream:
        content = stream.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise _RefusedError(f"it has more than the {MOST_BYTES // 2**20} MiB that are allowed")
    return content


def _is_of_a_class(parts: tuple[str, ...], entries: list[zipfile.ZipInfo]) -> bool:
    """Say whether a zip holds the work of several students, by how its entries are named."""
    tops = {re.split(r"[/\\]", entry.filename)[0] for entry in entries}
    if len(parts) > 1:
        return False
    named = any(p.match(top) for p in (MOODLE, CANVAS, BLACKBOARD) for top in tops)
    folders = {e.filename.split("/")[0] for e in entries if "/" in e.filename}
    notebooks = [e for e in entries if e.filename.endswith(".ipynb") and "/" not in e.filename]
    return named or len(folders) > 1 or len(notebooks) > 1


def whose(parts: tuple[str, ...], assignments: tuple[str, ...]) -> tuple[str, str, str, bool]:
    """Return the student, the file's own name, a number that tells namesakes apart, and if it is late.

    Known are Moodle's, Canvas's and Blackboard's names, `student/…/file`, `assignment/student/…/file`,
    and single files called after the student, with or without the assignment.

    >>> whose(("Ada Lovelace_4711_assignsubmission_file_", "attention.ipynb"), ("attention",))
    ('Ada_Lovelace', 'attention.ipynb', '4711', False)
    >>> whose(("lovelaceada_LATE_12_345_attention-1.ipynb",), ("attention",))
    ('lovelaceada', 'attention-1.ipynb', '', True)
    >>> whose(("attention", "ada", "work.ipynb"), ("attention",)), whose(("ada_attention.ipynb",), ("attention",))
    (('ada', 'work.ipynb', '', False), ('ada', 'ada_attention.ipynb', '', False))
    """
    name = parts[-1]
    for part in parts:
        if match := MOODLE.match(part):
            return plain_name(match["student"]), name, match["number"], False
    for pattern in (CANVAS, BLACKBOARD):
        if match := pattern.match(name):
            groups = match.groupdict()
            own = groups.get("file") or name
            return plain_name(groups["student"]), own, "", bool(groups.get("late"))
    folders = [part for part in parts[:-1] if part not in assignments]
    if folders:
        return plain_name(folders[0]), name, "", False
    stem = Path(name).stem
    for assignment in assignments:
        stem = re.sub(rf"(^{assignment}[-_ ]+|[-_ ]+{assignment}$)", "", stem)
    return plain_name(stem), name, "", False


def _told_apart(files: list[File]) -> list[File]:
    """Give students of one name, whom Moodle numbers differently, different names."""
    numbers = defaultdict(set)
    for file in files:
        numbers[file.student, file.name].add(file.number)
    namesakes = {student for (student, _), found in numbers.items() if len(found) > 1}
    return [
        replace(file, student=f"{file.student}-{file.number}")
        if file.student in namesakes and file.number
        else file
        for file in files
    ]
