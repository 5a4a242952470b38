"""What strangers hand in: files of odd kinds and names, and notebooks that are clumsy or sly."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from small_class import FULL, NAME, RIGHT_MASK, filled, hand_in, zipped

from lesson_tf.grading import submissions
from lesson_tf.grading.exercise_sources import read
from lesson_tf.grading.judging import Findings, findings_of, judge, outputs_of, tasks_for
from lesson_tf.grading.notebooks import read_submission, submissions_of
from lesson_tf.grading.results import summary
from lesson_tf.grading.submissions import File, files_in

KNOWN = ("attention", "flow")


def put(folder: Path, name: str, data: bytes = b"{}") -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def reasons(refused) -> dict[str, str]:
    return {refusal.student: refusal.reason for refusal in refused}


# --- Files ------------------------------------------------------------------------------------------


def test_a_students_zip_brings_no_work_of_others(tmp_path):
    put(tmp_path, "ada/attention.ipynb")
    put(tmp_path, "thief.zip", zipped({"ada_1_assignsubmission_file_/attention.ipynb": "{}"}))
    put(tmp_path, "sly.zip", zipped({"ada/attention.ipynb": "{}", "b/x.ipynb": "{}"}))
    put(tmp_path, "bob_12_34_work.zip", zipped({"ada/attention.ipynb": "{}", "b/x.ipynb": "{}"}))
    put(tmp_path, "climb.zip", zipped({"../ada/attention.ipynb": "{}", "C:\\ada\\x.ipynb": "{}"}))
    files, refused = files_in(tmp_path, KNOWN)
    assert [file.origin for file in files if file.student == "ada"] == ["ada/attention.ipynb"]
    assert {file.student for file in files} == {"ada", "sly", "bob", "climb"}
    assert "several students" in reasons(refused)["thief"]


def test_a_folder_around_the_class_is_no_student(tmp_path):
    for name in ("ada", "bob"):
        put(tmp_path / "all", f"week 1/download/{name}/attention.ipynb")
    files, _ = files_in(tmp_path / "all", KNOWN)
    assert [file.student for file in files] == ["ada", "bob"]
    inside = {f"download/{name}/attention.ipynb": "{}" for name in ("ada", "bob")}
    put(tmp_path / "zip", "all.zip", zipped(inside))
    files, _ = files_in(tmp_path / "zip", KNOWN)
    assert [file.student for file in files] == ["ada", "bob"]
    for name in KNOWN:  # One student's folder is no wrapper.
        put(tmp_path / "one", f"ada/{name}/{name}.ipynb")
    files, _ = files_in(tmp_path / "one", KNOWN)
    assert {file.student for file in files} == {"ada"}


def test_one_students_thousand_files_hide_nobody(tmp_path, monkeypatch):
    monkeypatch.setattr(submissions, "MOST_FILES_A_STUDENT", 20)
    for place in range(40):
        put(tmp_path, f"aaa/{place}.txt")
    put(tmp_path, "many.zip", zipped({f"{place}.txt": "" for place in range(40)}))
    put(tmp_path, "zoe/attention.ipynb")
    files, refused = files_in(tmp_path, KNOWN)
    assert files[-1].student == "zoe"
    assert set(reasons(refused)) == {"aaa", "many"} and "more than 20" in reasons(refused)["aaa"]
    _, more = submissions_of(files, {})
    told = summary([], [*refused, *more])
    assert told.count("aaa:") == 6 and "aaa: and 16 more" in told


def test_a_bomb_of_many_entries_stops_at_a_students_share(tmp_path, monkeypatch):
    monkeypatch.setattr(submissions, "MOST_BYTES_A_STUDENT", 250_000)
    monkeypatch.setattr(submissions, "MOST_BYTES", 100_000)
    put(tmp_path, "bomb.zip", zipped({f"{n}.ipynb": b" " * 90_000 for n in range(30)}))
    put(tmp_path, "ada/attention.ipynb")
    files, refused = files_in(tmp_path, KNOWN)
    assert sum(len(file.data) for file in files) <= 250_000
    assert "are allowed" in reasons(refused)["bomb"]


def test_pipes_and_damaged_zips_are_refused_in_words(tmp_path):
    (tmp_path / "pipe").mkdir()
    os.mkfifo(tmp_path / "pipe" / "attention.ipynb")
    whole = zipped({"attention.ipynb": json.dumps(list(range(2000)))})
    put(tmp_path, "damaged.zip", whole[:60] + b"\xff" * 30 + whole[90:])
    put(tmp_path, "short.zip", whole[:-40])
    inner = zipped({"b.zip": zipped({"c.zip": whole})})
    put(tmp_path, "nested.zip", zipped({"a.zip": inner}))
    files, refused = files_in(tmp_path, KNOWN)
    assert files == []
    told = reasons(refused)
    assert told["pipe"] == "it is no file, but a pipe or a device"
    assert told["damaged"].startswith("it cannot be unpacked")
    assert told["short"].startswith("the zip cannot be opened")
    assert told["nested"] == "a zip in a zip in a zip is not opened"


def test_names_cannot_forge_a_line_or_stop_a_writer(tmp_path):
    put(tmp_path, "eve\nzoe, attention: graded/x\x1b[2J\u202e.ipynb", b"{")
    os.makedirs(os.fsencode(tmp_path) + b"/byt\xffes")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/byt\xffes/x\xfe.pdf")).write_bytes(b"")
    files, _ = files_in(tmp_path, KNOWN)
    _, refused = submissions_of(files, {})
    text = summary([], refused)
    text.encode("utf-8")
    assert len(text.splitlines()) == 3 and "\x1b" not in text and "\u202e" not in text


def test_what_systems_leave_behind_is_no_submission(tmp_path):
    for name in ("._attention.ipynb", "~$notes.docx", ".DS_Store", "__MACOSX/x.ipynb"):
        put(tmp_path, f"ada/{name}", b"\0")
    put(tmp_path, "bob/.attention.ipynb.icloud", b"\0")
    files, refused = files_in(tmp_path, KNOWN)
    assert [file.student for file in files] == ["bob"] and refused == []
    _, refused = submissions_of(files, {})
    assert "left in iCloud" in refused[0].reason


def as_read(release, notebook, name=f"{NAME}.ipynb"):
    return read_submission(File("ada", f"ada/{name}", name, json.dumps(notebook).encode()), release)


def test_odd_files_are_read_or_refused_in_words(release):
    known = {NAME: release}
    assert as_read(known, filled(release), "attention.ipynb.txt").remarks == ()
    data = b"{\n<<<<<<< HEAD\n" + json.dumps(filled(release)).encode()
    with pytest.raises(ValueError, match="marks of a merge"):
        read_submission(File("ada", "a.ipynb", "a.ipynb", data), known)
    many = filled(release)
    many.cells += [many.cells[0]] * 3000
    assert any("cut off" in remark for remark in as_read(known, many).remarks)
    with pytest.raises(ValueError, match="2000000 are allowed"):
        as_read(known, filled(release, extra="x" * 3_000_000))


@pytest.mark.parametrize(
    "link",
    [
        "[x](javascript:alert(1))",
        "[x](JaVa&#115;cript\\:alert(1))",
        "[x][y]\n\n[y]: java\tscript:a",
    ],
)
def test_prose_that_could_run_a_script_is_shown_as_typed(release, link):
    laid = as_read({NAME: release}, filled(release, why=link)).notebook
    answer = next(
        c
        for c in laid.cells
        if c.metadata.get("nbgrader", {}).get("task") is not None and c.cell_type == "markdown"
    )
    assert all(line.startswith("    ") for line in answer.source.split("\n"))
    honest = "See [the data: a table](https://example.org), in Java script."
    laid = as_read({NAME: release}, filled(release, why=honest)).notebook
    assert honest in [cell.source for cell in laid.cells]


def test_long_prose_and_its_pictures_are_cut(release):
    picture = "![x](data:image/png;base64," + "A" * 500_000 + ")"
    read_back = as_read({NAME: release}, filled(release, why=picture + " Because."))
    assert "![x](picture) Because." in [cell.source for cell in read_back.notebook.cells]
    read_back = as_read({NAME: release}, filled(release, why="*_" * 100_000))
    assert max(len(cell.source) for cell in read_back.notebook.cells) == 20_000
    assert any("cut off" in remark for remark in read_back.remarks)


# --- What a sandbox says ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        {"tensor": "float32", "shape": [10**12], "data": ""},
        {"tensor": "float32", "shape": [2**62, 2**62, 0], "data": ""},
        {"tuple": [{"tensor": "float32", "shape": [5, 10**10, 0], "data": ""}] * 2},
        {"tuple": [10**4000, float("nan")]},
        "\ud800",
    ],
    ids=["large", "overflows", "empty", "integer", "half"],
)
def test_claims_about_answers_cost_neither_memory_nor_the_grade(made, value):
    task = tasks_for(read(made.release(NAME)), 3, {})[0]
    answers = [{"value": value}] * len(task.calls)
    report = judge(task, Findings(answers={task.check.grade_id: answers}))
    assert report.earned == 0 and not report


def test_outputs_that_were_forged_hold_text_and_pictures_alone(release):
    event = {
        "text": "\ud800",
        "error": "E: \udfff",
        "late": True,
        "shown": [{"image/png": 'x"><script>alert(1)</script>'}, {"image/png": "A" * 3_000_000}],
    }
    cell = next(cell for cell in release.cells if cell.cell_type == "code")
    outputs = outputs_of(release, {}, Findings(cells={cell.id: event}))[cell.id]
    assert [output["output_type"] for output in outputs] == ["stream", "error"]
    json.dumps(outputs, ensure_ascii=False).encode("utf-8")
    findings = Findings()
    findings_of(b"".join(b'{"cell": "%d"}\n' % n for n in range(9_000)), findings)
    assert len(findings.cells) == 5_000


# --- Notebooks --------------------------------------------------------------------------------------

FORGES = """\
import json, os
lines = [json.dumps({"cell": f"\\n{n}", "late": True, "error": "\\nE: x"}) for n in range(3)]
lines += [json.dumps({"exercise": "masks-check", "answers": [{"value": VALUE}] * 3})]
for fd in range(3, 64):
    try:
        os.write(fd, ("\\n" + "\\n".join(lines) + "\\n").encode())
    except OSError:
        pass
""".replace("VALUE", '{"tensor": "float32", "shape": [2**62, 2**62, 0], "data": ""}')
PROSE = """\
<svg onload=alert(1)> [x](javascript:alert(1)) ![x](x" onerror="alert(1))

<iframe src="data:text/html,<script>alert(1)</script>"></iframe><a href="javascript:alert(1)">x</a>
"""
SLY = {
    "forges": (FORGES, 4),
    "half_characters": (
        "print('\\ud800')\nraise type('E\\nzoe: graded', (Exception,), {})('\\udfff')",
        9,
    ),
    "closes_its_output": ("import sys\nsys.stdout.close()", 9),
}
CLUMSY = (
    "import asyncio\nawait asyncio.sleep(0)\n%timeit -n 1 -r 1 1\n!ls\nfrom tqdm import tqdm\n"
    "print(list(tqdm([1])))\nimport matplotlib.pyplot as plt\nplt.plot([1])\nplt.show()"
)


def test_sly_and_clumsy_notebooks_end_in_the_honest_score(course, release, grade, tmp_path):
    came_in = tmp_path / "came_in"
    for name, (cell, _) in SLY.items():
        hand_in(came_in, name, filled(release, extra=cell))
    hand_in(came_in, "=cmd|x", filled(release, why=PROSE))
    moved = json.loads(json.dumps(filled(release, mask="pass", extra=CLUMSY)))
    moved["cells"].reverse()
    moved["cells"] = [c for c in moved["cells"] if c.get("id") not in ("masks-check", "setup")]
    moved["cells"].insert(0, {"cell_type": "code", "source": ["import torch\n", RIGHT_MASK]})
    for cell in moved["cells"]:
        cell.pop("id", None)
    hand_in(came_in, "clumsy", moved)
    results, refused = grade()
    assert refused == []
    with (course.root / "grades.csv").open(encoding="utf-8-sig", newline="") as file:
        lines = {row["student"]: row for row in csv.DictReader(file)}
    points = {name: float(row["attention_points"]) for name, row in lines.items()}
    wanted = {name: score for name, (_, score) in SLY.items()}
    assert points == {**wanted, "cmd_x": FULL, "clumsy": FULL}
    assert results["clumsy"].status == "graded" and results["clumsy"].remarks == (
        "cell masks-check was missing",
    )
    assert not any(
        value[:1] in "=+-@\t\r" for row in lines.values() for value in row.values() if value
    )
    assert "\n" not in "".join(value for row in lines.values() for value in row.values())
    told = (course.root / "summary.txt").read_text(encoding="utf-8")
    assert not [line for line in told.splitlines() if line.lstrip().startswith("zoe")]
    for path in (course.root / "feedback").rglob("*.html"):
        page = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
        assert not [tag for tag in page.find_all("script") if "alert" in tag.text]
        links = [tag.get("href") or tag.get("src") or "" for tag in page.find_all()]
        assert not [link for link in links if link.startswith(("javascript:", "data:text"))]
        assert not [
            tag for tag in page.find_all() if any(name.startswith("on") for name in tag.attrs)
        ]


# --- nbgrader's exchange ----------------------------------------------------------------------------


def test_what_nbgrader_collects_is_graded_and_stays_as_it_came(course, release, tmp_path):
    exchange = tmp_path / "exchange"
    exchange.mkdir()
    exchange.chmod(0o777)
    assert course.nbgrader  # Writes the configuration, which an instructor then adds to.
    more = f"c.Exchange.root = {str(exchange)!r}\n"
    own = course.root / "nbgrader_config.py"
    own.write_text(own.read_text(encoding="utf-8") + more, encoding="utf-8")
    theirs = tmp_path / "student"
    theirs.mkdir()
    (theirs / "nbgrader_config.py").write_text(
        f"c = get_config()\nc.CourseDirectory.course_id = 'lesson-tf'\n{more}", encoding="utf-8"
    )
    nbgrader(course.root, tmp_path, "release_assignment", NAME)
    nbgrader(theirs, tmp_path, "fetch_assignment", NAME)
    handed_in = filled(read(theirs / NAME / f"{NAME}.ipynb"))
    next(cell for cell in handed_in.cells if cell.id == "attention-check").source = "4.0"
    hand_in(theirs, NAME, handed_in)
    nbgrader(theirs, tmp_path, "submit", NAME)
    nbgrader(course.root, tmp_path, "collect", NAME)
    collected = course.root / "submitted"
    before = {path: path.read_bytes() for path in collected.rglob("*") if path.is_file()}
    from lesson_tf.grading.grade import Grading

    for _ in range(2):
        ((result,), refused) = Grading(course, progress=False).grade(collected)
        assert (result.status, refused) == ("graded", [])
        assert result.remarks == ("cell attention-check was changed, though it is locked",)
    assert before == {path: path.read_bytes() for path in before}
    assert more in own.read_text(encoding="utf-8")


def nbgrader(folder: Path, home: Path, *words: str) -> None:
    scripts = os.path.dirname(sys.executable)
    told = subprocess.run(
        [os.path.join(scripts, "nbgrader"), *words],
        cwd=folder,
        capture_output=True,
        text=True,
        env={"HOME": str(home), "PATH": f"{scripts}:{os.environ['PATH']}", "LANG": "C.UTF-8"},
    )
    assert told.returncode == 0, told.stderr


def test_a_receipt_of_blackboard_is_no_submission(tmp_path):
    put(tmp_path, "Homework_jdoe_attempt_2026-11-28-10-00-00_attention.ipynb")
    put(tmp_path, "Homework_jdoe_attempt_2026-11-28-10-00-00.txt")
    files, refused = files_in(tmp_path, KNOWN)
    assert [file.student for file in files] == ["jdoe"] and not refused


def test_an_empty_folder_is_told(tmp_path):
    assert files_in(tmp_path, KNOWN) == ([], [])
    assert summary([], []) == "nothing was found to grade"
