"""What came in: folders and zips as learning management systems write them, read without trust.

Every file ends as a submission or as a refusal with its reason; none stops the others.
"""

import io
import re
import stat
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from lesson_tf.grading.owners import (
    depth_of_wrapper,
    is_left_behind,
    is_of_a_class,
    is_of_a_platform,
    owner_of,
    plain_name,
    shown,
)

MOST_BYTES = 20 * 2**20
MOST_BYTES_A_STUDENT = 100 * 2**20
MOST_FILES_A_STUDENT = 1_000
DEEPEST_ZIP = 2
# What else lies beside a notebook is named, never read.
READ = (".ipynb", ".json", ".ipynb.txt", ".zip")


@dataclass(frozen=True)
class File:
    """One file that came in: whose it is, its name as it was, its bytes, and when it was written.

    `owner` is the student's name as it came, of which `student` is what a folder can be called.
    """

    student: str
    origin: str
    name: str
    data: bytes
    written: float = 0.0
    number: str = ""
    late: bool = False
    owner: str = ""


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


class _Budget:
    """Counts the files and bytes of each student, so that no one's fill the memory or the time."""

    def __init__(self):
        self.files: dict[str, int] = defaultdict(int)
        self.bytes: dict[str, int] = defaultdict(int)

    def is_full(self, student: str) -> bool:
        """Count one more file, and say whether it is one too many; raises _RefusedError for the first."""
        self.files[student] += 1
        if self.files[student] == MOST_FILES_A_STUDENT + 1:
            raise _RefusedError(
                f"these are more than {MOST_FILES_A_STUDENT} files; no more are read"
            )
        return self.files[student] > MOST_FILES_A_STUDENT

    def room(self, student: str) -> int:
        """Return how many bytes the next file may have; raises _RefusedError for none."""
        room = min(MOST_BYTES, MOST_BYTES_A_STUDENT - self.bytes[student])
        if room <= 0:
            raise _RefusedError(
                f"the files have more than {MOST_BYTES_A_STUDENT // 2**20} MiB together"
            )
        return room


def files_in(top: Path, assignments: tuple[str, ...]) -> tuple[list[File], list[Refusal]]:
    """Return the files below a folder, or in a zip, and what was refused.

    Raises ValueError if there is no such folder or zip.
    """
    if not top.exists():
        raise ValueError(f"there is no {top}; give the folder or the zip with the submissions")
    files: list[File] = []
    refused: list[Refusal] = []
    budget = _Budget()
    found = [(parts, path) for parts, path in _walk(top) if not is_left_behind("/".join(parts))]
    wrapped = depth_of_wrapper([parts for parts, _ in found], assignments)
    alone = len({parts[0] for parts, _ in found}) == 1 or all(map(_is_a_download, found))
    for whole, path in found:
        parts = whole[wrapped:]
        owner, name, number, late = owner_of(parts, assignments)
        student = plain_name(owner)
        origin = shown("/".join(whole))
        try:
            if budget.is_full(student):
                continue
            data = _read(path, budget.room(student)) if name.lower().endswith(READ) else b""
            written = path.lstat().st_mtime
        except (_RefusedError, OSError) as error:
            refused.append(Refusal(student, origin, _reason(error)))
            continue
        if name.lower().endswith(".zip"):
            inner, inner_refused = _files_in_zip(parts, data, assignments, budget, alone)
            files += inner
            refused += inner_refused
        else:
            budget.bytes[student] += len(data)
            files.append(File(student, origin, shown(name), data, written, number, late, owner))
    return files, refused


def _reason(error: Exception) -> str:
    """Return why a file cannot be read, in words and without the machine's paths."""
    if isinstance(error, OSError) and error.strerror:
        return f"it cannot be read: {error.strerror}"
    return shown(str(error)) or "it cannot be read"


def _walk(top: Path) -> Iterator[tuple[tuple[str, ...], Path]]:
    """Yield the parts of each path below a folder that is no folder itself, and the path."""
    if top.is_file():
        yield (_text(top.name),), top
        return
    for path in sorted(top.rglob("*")):
        if path.is_symlink() or not path.is_dir():
            yield tuple(map(_text, path.relative_to(top).parts)), path


def _is_a_download(one: tuple[tuple[str, ...], Path]) -> bool:
    """Say whether a file is a zip as a platform gives it: with a student's name on all that it holds."""
    parts, path = one
    if len(parts) > 1 or not path.name.lower().endswith(".zip") or path.is_symlink():
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            names = [_parts_of(entry) for entry in archive.infolist()]
    except Exception:  # It is told later why it cannot be opened.
        return False
    kept = [name for name in names if name and not is_left_behind("/".join(name))]
    return bool(kept) and all(is_of_a_platform(name[0]) for name in kept)


def _text(name: str) -> str:
    """Return a file's name as text, also if its bytes are none."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _read(path: Path, room: int) -> bytes:
    if path.is_symlink():
        raise _RefusedError("it is a link, which is not followed")
    if not path.is_file():
        raise _RefusedError("it is no file, but a pipe or a device")
    size = path.stat().st_size
    # A zip of a whole class may be larger than one notebook.
    most = MOST_BYTES * 50 if path.suffix.lower() == ".zip" else room
    if size > most:
        raise _RefusedError(f"it has {size / 2**20:.0f} MiB; {most // 2**20} are allowed")
    return path.read_bytes()


def _files_in_zip(
    parts: tuple[str, ...],
    data: bytes,
    assignments: tuple[str, ...],
    budget: _Budget,
    alone: bool = False,
    depth: int = 1,
) -> tuple[list[File], list[Refusal]]:
    """Return the files of a zip: of one student, or, if it came alone, of a class."""
    origin = shown("/".join(parts))
    files: list[File] = []
    refused: list[Refusal] = []
    came, _, _, came_late = owner_of(parts, assignments)
    holder = plain_name(came)
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        entries = [(entry, _parts_of(entry)) for entry in archive.infolist() if not entry.is_dir()]
    except Exception as error:  # A zip may be broken in more ways than zipfile has names for.
        return [], [Refusal(holder, origin, f"the zip cannot be opened: {_reason(error)}")]
    entries = [
        (e, inside) for e, inside in entries if inside and not is_left_behind("/".join(inside))
    ]
    names = [inside for _, inside in entries]
    above, wrapped = (*parts[:-1], Path(parts[-1]).stem), 0
    if len(parts) == 1 and is_of_a_platform(parts[0]):
        above = (came,)
    elif len(parts) == 1 and depth == 1:
        if alone or Path(parts[0]).stem in assignments:
            wrapped = depth_of_wrapper(names, assignments)
            above = () if is_of_a_class([name[wrapped:] for name in names]) else above
        elif any(is_of_a_platform(name[0]) for name in names):
            reason = "it holds the work of several students; give such a zip to make grade alone"
            return [], [Refusal(holder, origin, reason)]
    for entry, inside in entries:
        place = (*above, *inside[wrapped:])
        owner, name, number, late = owner_of(place, assignments)
        student = plain_name(owner)
        where = shown(f"{origin}/{'/'.join(inside)}")
        try:
            if budget.is_full(student):
                continue
            room = budget.room(student)
            content = _read_entry(archive, entry, room) if name.lower().endswith(READ) else b""
        except _RefusedError as error:
            refused.append(Refusal(student, where, _reason(error)))
            continue
        except Exception as error:  # As above.
            reason = f"it cannot be unpacked: {_reason(error)}"
            refused.append(Refusal(student, where, reason))
            continue
        budget.bytes[student] += len(content)
        if name.lower().endswith(".zip"):
            if depth == DEEPEST_ZIP:
                reason = "a zip in a zip in a zip is not opened"
                refused.append(Refusal(student, where, reason))
                continue
            inner, inner_refused = _files_in_zip(
                place, content, assignments, budget, depth=depth + 1
            )
            files += inner
            refused += inner_refused
        else:
            written = _written(entry)
            files.append(
                File(
                    student, where, shown(name), content, written, number, late or came_late, owner
                )
            )
    return files, refused


def _written(entry: zipfile.ZipInfo) -> float:
    """Return when an entry was written, or 0 if its date is none."""
    try:
        return datetime(*entry.date_time).timestamp()
    except (ValueError, OverflowError, OSError):
        return 0.0


def _parts_of(entry: zipfile.ZipInfo) -> tuple[str, ...]:
    """Return an entry's path without what would lead out of its folder."""
    return tuple(p for p in re.split(r"[/\\]", entry.filename) if p not in ("", ".", ".."))


def _read_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, room: int) -> bytes:
    """Read one entry, and no more than is allowed, whatever size it claims."""
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise _RefusedError("it is a link, which is not followed")
    with archive.open(entry) as stream:
        content = stream.read(room + 1)
    if len(content) > room:
        raise _RefusedError(f"it has more than the {room // 2**20} MiB that are allowed")
    return content
