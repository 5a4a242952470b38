"""From what came in to grades: honest, clumsy and hostile submissions, each in a sandbox."""

import copy
import csv
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import zipfile

import nbformat
import pytest
import small_class
from bs4 import BeautifulSoup
from nbconvert import HTMLExporter
from nbgrader.api import Gradebook
from small_class import FULL, NAME, RIGHT_ATTENTION, UNSCALED_ATTENTION, filled, hand_in

from lesson_tf.grading import GradingError, sandbox
from lesson_tf.grading.__main__ import PROJECT
from lesson_tf.grading.assignments import make_assignments, variants_of
from lesson_tf.grading.course import Course
from lesson_tf.grading.examining import LIMITS
from lesson_tf.grading.exercise_sources import read
from lesson_tf.grading.grade import Grading
from lesson_tf.grading.results import score_of


@pytest.fixture
def came_in(tmp_path):
    folder = tmp_path / "came_in"
    folder.mkdir()
    return folder


def rows(course) -> dict[str, dict[str, str]]:
    with (course.root / "grades.csv").open(encoding="utf-8-sig", newline="") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


def steps_of_class(course) -> list[dict[str, str]]:
    with (course.root / "steps.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def feedback(course, student: str) -> str:
    return (course.root / "feedback" / student / NAME / f"{NAME}.html").read_text(encoding="utf-8")


# --- Honest and clumsy ------------------------------------------------------------------------------


def test_a_class_of_honest_and_clumsy_students(course, release, grade, came_in):
    matrix = r"$$\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}$$"
    hand_in(came_in, "ada", filled(release, why=matrix))
    hand_in(came_in, "bob", filled(release, attention=UNSCALED_ATTENTION))
    hand_in(came_in, "cy", filled(release, attention=None, mask=None, why=None))
    hand_in(
        came_in, "dan", filled(release, mask="def decoder_mask(token_ids, pad_id):\n    return x")
    )
    hand_in(came_in, "eve", filled(release, extra="1 / 0"), "My work (final).ipynb")
    endless = "def decoder_mask(token_ids, pad_id):\n    while True:\n        pass"
    hand_in(came_in, "fay", filled(release, mask=endless))
    tampered = filled(release)
    for cell in tampered.cells:
        if cell.id == "attention-check":
            cell.source = "4.0"
    hand_in(came_in, "gus", tampered)
    (came_in / "hal").mkdir()
    (came_in / "hal" / "attention.ipynb").write_text("{broken", encoding="utf-8")
    (came_in / "ivy.ipynb").write_text("", encoding="utf-8")
    (came_in / "jo").mkdir()
    (came_in / "jo" / "essay.pdf").write_bytes(b"%PDF-1.7")
    with zipfile.ZipFile(came_in / "kim.zip", "w") as archive:
        archive.writestr("attention.ipynb", nbformat.writes(filled(release)))

    results, refused = grade()
    assert sorted(results) == ["ada", "bob", "cy", "dan", "eve", "fay", "gus", "kim"]
    assert sorted(refusal.student for refusal in refused) == ["hal", "ivy", "jo"]
    points = {name: row["attention_points"] for name, row in rows(course).items()}
    assert points["ada"] == points["kim"] == points["eve"] == points["gus"] == f"{FULL:g}"
    assert 5 < float(points["bob"]) < FULL
    assert points["cy"] == "0"
    assert points["dan"] == points["fay"] == "4"
    assert points["hal"] == points["ivy"] == points["jo"] == ""  # Never a silent zero.
    due = {name: row["attention_due_by_hand"] for name, row in rows(course).items()}
    assert due["ada"] == "4" and due["cy"] == "0" and due["hal"] == ""
    status = {name: row["attention_status"] for name, row in rows(course).items()}
    assert status["ada"] == "graded" and status["hal"].startswith("not graded: it is broken")
    assert status["fay"].startswith("timed out")
    assert "the file was called My work (final).ipynb" in results["eve"].remarks
    assert "cell 3 raised ZeroDivisionError" in results["eve"].remarks
    assert "cell attention-check was changed, though it is locked" in results["gus"].remarks
    told = (course.root / "summary.txt").read_text(encoding="utf-8")
    for word in ("7 graded", "1 timed out", "3 refused", "hal", "broken", "essay.pdf"):
        assert word in told, told
    assert "the scale is missing" in feedback(course, "bob")
    assert "It is not written yet" in feedback(course, "cy")
    assert "loop" in feedback(course, "fay")
    assert "1 &amp; 2" in feedback(course, "ada")  # A formula is shown as it was typed.
    # For each step, how many passed it: bob alone of those who wrote something forgot the scale.
    steps = steps_of_class(course)
    assert {row["of"] for row in steps} == {"8"}
    scale = [row for row in steps if row["check"] == "attention-check" and row["passed"] == "6"]
    assert scale and max(int(row["passed"]) for row in steps) == 7


def test_grading_again_changes_nothing_and_goes_on_where_it_was(course, release, grade, came_in):
    hand_in(came_in, "ada", filled(release))
    hand_in(came_in, "bob", filled(release, attention=UNSCALED_ATTENTION))
    grade()
    before = {p: p.stat().st_mtime_ns for p in course.root.rglob("*") if p.parent.name != "course"}
    grades, steps = ((course.root / name).read_bytes() for name in ("grades.csv", "steps.csv"))
    grade()
    after = {p: p.stat().st_mtime_ns for p in course.root.rglob("*") if p.parent.name != "course"}
    assert before == after
    assert (course.root / "grades.csv").read_bytes() == grades
    assert (course.root / "steps.csv").read_bytes() == steps and b"attention-check" in steps
    # An interrupted run leaves a submission without its stamp: it alone is graded again.
    (course.root / "graded" / NAME / "bob.json").unlink()
    hand_in(came_in, "cy", filled(release))
    untouched = (course.root / "graded" / NAME / "ada.json").stat().st_mtime_ns
    grade()
    assert (course.root / "graded" / NAME / "ada.json").stat().st_mtime_ns == untouched
    assert rows(course)["cy"]["attention_points"] == f"{FULL:g}"
    # A new version of a submission takes the place of the old one.
    hand_in(came_in, "bob", filled(release))
    grade()
    assert rows(course)["bob"]["attention_points"] == f"{FULL:g}"


def test_points_given_by_hand_stay_and_reach_the_feedback(course, release, grade, came_in):
    hand_in(came_in, "ada", filled(release))
    grade()
    assert feedback(course, "ada").count("Not graded yet") == 1
    with Gradebook(course.configuration().CourseDirectory.db_url, "lesson-tf") as book:
        given = book.find_grade("why-answer", NAME, NAME, "ada")
        given.manual_score, given.needs_manual_grade = 3.0, False
        book.db.commit()
    grade()
    assert "Not graded yet" not in feedback(course, "ada")
    row = rows(course)["ada"]
    assert (row["attention_points"], row["attention_due_by_hand"]) == ("12", "0")
    assert "12" in feedback(course, "ada")
    hand_in(came_in, "ada", filled(release, extra="x = 1"))
    grade()
    with Gradebook(course.configuration().CourseDirectory.db_url, "lesson-tf") as book:
        assert book.find_grade("why-answer", NAME, NAME, "ada").manual_score == 3.0


def test_an_answer_that_changed_after_it_was_marked_is_named(course, release, grade, came_in):
    hand_in(came_in, "ada", filled(release))
    grade()
    with Gradebook(course.configuration().CourseDirectory.db_url, "lesson-tf") as book:
        given = book.find_grade("why-answer", NAME, NAME, "ada")
        given.manual_score, given.needs_manual_grade = 3.0, False
        book.db.commit()
    grade()
    assert rows(course)["ada"]["attention_status"] == "graded"
    hand_in(came_in, "ada", filled(release, why="Something else."))
    grade()
    told = rows(course)["ada"]
    assert told["attention_status"] == "graded; why-answer changed after it was marked"
    assert told["attention_points"] == "12"  # What was given by hand stays until you change it.


def test_the_concept_test_is_counted_and_its_feedback_is_silent(tmp_path, came_in):
    course = Course(tmp_path / "own")
    make_assignments(course, PROJECT / "book" / "en", {"concept_test_before": []})
    release = read(course.release("concept_test_before"))
    for student, letter in (("ada", "a"), ("bob", "b")):
        own = copy.deepcopy(release)
        for cell in own.cells:
            if "def letters" in cell.source:
                cell.source = f"def letters():\n    return dict.fromkeys(range(1, 19), {letter!r})"
        hand_in(came_in, student, own, "concept_test_before.ipynb")
    Grading(course, progress=False).grade(came_in)
    assert rows(course)["ada"]["concept_test_before_points"] == "18"
    counted = [(row["passed"], row["of"]) for row in steps_of_class(course)]
    assert len(counted) == 18 and {of for _, of in counted} == {"2"}
    assert sum(int(passed) for passed, _ in counted) == 12  # Each letter is right six times.
    page = course.root / "feedback" / "ada" / "concept_test_before" / "concept_test_before.html"
    text = page.read_text(encoding="utf-8")
    assert "belief" not in text and "1 of 1 steps" in text


@pytest.mark.parametrize("place", [".", "course", "course/release", "course/instructor"])
def test_the_course_itself_is_no_folder_of_submissions(course, tmp_path, place):
    with pytest.raises(GradingError, match="holds the course's own notebooks"):
        Grading(course, progress=False).grade(tmp_path / place)


def test_students_of_whom_nothing_came_have_a_row(course, release, came_in):
    hand_in(came_in, "ada", filled(release))
    Grading(course, progress=False).grade(came_in, ["ada", "zoe"])
    zoe = rows(course)["zoe"]
    assert zoe["attention_points"] == "" and zoe["attention_status"] == "nothing submitted"


def test_each_student_is_graded_on_the_own_variant(tmp_path, came_in):
    course = Course(tmp_path / "varied")
    zips = make_assignments(course, small_class.write_book(tmp_path), {NAME: []}, ["Ada_Núñez"])
    with zipfile.ZipFile(zips[1]) as archive:
        hers = nbformat.reads(archive.read(f"{NAME}/{NAME}.ipynb").decode(), as_version=4)
    release = read(course.release(NAME))
    numbers = variants_of("Ada_Núñez", NAME, release, course.settings()["seed"])
    temperature = (0.5, 1.5, 2.0, 2.5, 3.0)[numbers["attention-check"] - 1]
    own = RIGHT_ATTENTION.replace("** 0.5", f"** 0.5 / {temperature}")
    hand_in(came_in, "nunezada", filled(hers, attention=own))  # As Canvas writes her name.
    hand_in(came_in, "thief", filled(hers, attention=own))
    hers.metadata["lesson_tf"]["student"] = "Núñez_Ada"  # For whom none was made.
    hand_in(came_in, "nunez_ada", filled(hers, attention=own))
    hand_in(came_in, "bob", filled(release))  # The published exercise and its solution.
    numbers = variants_of("cy", NAME, release, course.settings()["seed"])
    temperature = (0.5, 1.5, 2.0, 2.5, 3.0)[numbers["attention-check"] - 1]
    own = RIGHT_ATTENTION.replace("** 0.5", f"** 0.5 / {temperature}")
    hand_in(came_in, "cy", filled(release, attention=own))  # Another notebook, the own variant.
    results, _ = Grading(course, progress=False).grade(came_in)
    told = {result.student: result.remarks for result in results}
    assert told["nunezada"] == ()  # Nobody changed a locked cell.
    assert told["thief"] == ("the notebook was made for Ada_Núñez",)
    assert "the notebook is not the one made for a student" in told["nunez_ada"]
    assert told["bob"] == (
        "the notebook is not the one made for a student",
        "attention-check solves the published exercise, not the own variant",
    )
    assert rows(course)["nunezada"]["attention_points"] == f"{FULL:g}"
    assert rows(course)["cy"]["attention_points"] == f"{FULL:g}"
    assert float(rows(course)["bob"]["attention_points"]) < FULL
    assert "this solves the published exercise, not yours" in feedback(course, "bob")


def test_private_tests_count_and_do_not_leak(course, release, grade, came_in, tmp_path):
    hidden = tmp_path / "private"
    hidden.mkdir()
    (hidden / "attention.py").write_text(
        "import torch\n"
        "from lesson_tf.checks.answers import Call\n"
        "SECRET_NUMBER = 8675309.0\n"
        "def calls(generator):\n"
        "    x = torch.full((1, 3), SECRET_NUMBER)\n"
        "    return [Call({'query': x, 'key': x, 'value': x})]\n",
        encoding="utf-8",
    )
    telling = RIGHT_ATTENTION.replace(
        "    scores",
        "    print(query)\n"
        "    if len(query) == 1:\n"
        "        raise type(str(query[0, 0].item()), (ValueError,), {})(str(query))\n"
        "    scores",
        1,
    )
    hand_in(came_in, "ada", filled(release, attention=telling))
    hand_in(came_in, "bob", filled(release))
    looking = f"import os\nfound = os.path.exists({str(hidden)!r}) or os.path.exists({str(course.root)!r})"
    hand_in(came_in, "cy", filled(release, extra=f"{looking}\nassert not found"))
    results, _ = grade(hidden=hidden)
    assert rows(course)["bob"]["attention_points"] == f"{FULL:g}"
    assert float(rows(course)["ada"]["attention_points"]) < FULL
    for student in results:
        assert "8675309" not in feedback(course, student)
    assert results["cy"].remarks == ()


def test_feedback_shows_no_markup_of_a_student(course, release, grade, came_in):
    script = "<script>alert(1)</script><img src=x onerror=alert(1)>"
    shows = (
        f"from IPython.display import HTML, display\ndisplay(HTML({script!r}))\nprint({script!r})"
    )
    hand_in(came_in, "ada", filled(release, why=script, extra=shows))
    grade()
    for text in (feedback(course, "ada"), _as_the_formgrader_shows(course, "ada")):
        page = BeautifulSoup(text, "html.parser")
        assert not [tag for tag in page.find_all("script") if "alert" in tag.text]
        assert not page.find_all(onerror=True)


def _as_the_formgrader_shows(course, student: str) -> str:
    path = course.root / "autograded" / student / NAME / f"{NAME}.ipynb"
    return HTMLExporter().from_filename(str(path))[0]


# --- Hostile ----------------------------------------------------------------------------------------


@pytest.fixture
def neighbour(release, came_in):
    """Hand in an honest notebook beside the hostile one."""
    hand_in(came_in, "honest", filled(release))


QUICK = {"seconds": 25, "cpu_seconds": 25}
DO_IN_CALL = """\
def decoder_mask(token_ids, pad_id):
    {}
"""


def limits(**changed):
    return sandbox.Limits(**{**vars(LIMITS), **QUICK, **changed})


def test_what_a_submission_can_see(course, release, grade, came_in, neighbour):
    project = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    code = f"""\
import os, pathlib, socket, glob
seen = []
for path in ({str(course.root)!r}, {str(came_in)!r}, {project + "/README.md"!r},
             {project + "/book"!r}, os.path.expanduser("~root/.bash_history"), "/etc/shadow"):
    if os.path.exists(path):
        seen.append(path)
for path in ("/etc/written", "/usr/written", torch.__file__, checks.__file__):
    try:
        open(path, "a").close()
        seen.append("wrote " + path)
    except OSError:
        pass
print("SEEN", seen, sorted(os.environ))
assert not seen
"""
    hand_in(came_in, "spy", filled(release, extra=code))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SECRET_TOKEN", "hunter2")
        results, _ = grade()
    assert results["spy"].remarks == (), feedback(course, "spy")
    assert "hunter2" not in feedback(course, "spy") and "SECRET_TOKEN" not in feedback(
        course, "spy"
    )


def test_a_socket_leads_nowhere(course, release, grade, came_in, neighbour):
    listener = socket.create_server(("127.0.0.1", 0))
    reached = threading.Event()

    def listen():
        try:
            listener.accept()
            reached.set()
        except OSError:
            pass

    threading.Thread(target=listen, daemon=True).start()
    port = listener.getsockname()[1]
    code = f"import socket\nsocket.create_connection(('127.0.0.1', {port}), timeout=2)"
    hand_in(came_in, "caller", filled(release, extra=code))
    results, _ = grade()
    assert not reached.is_set()
    listener.close()
    assert any("raised" in remark for remark in results["caller"].remarks)
    assert rows(course)["honest"]["attention_points"] == f"{FULL:g}"


HOSTILE = {
    "patches_checks": (
        "import lesson_tf.checks.exercise as e, lesson_tf.checks.report as r\n"
        "e.Exercise.judge = e.Exercise.__call__ = lambda *a, **k: r.Report('x', (), points=4)\n"
        "r.Report.earned = property(lambda self: 99.0)",
        "    return 1",
    ),
    "patches_torch": (
        "torch.allclose = torch.equal = lambda *a, **k: True\n"
        "torch.Tensor.__eq__ = lambda *a: True\n"
        "import numpy as np\nnp.allclose = lambda *a, **k: True",
        "    return torch.zeros(2, 1, 5, 5, dtype=torch.bool)",
    ),
    "writes_the_result": (
        "import json, os\n"
        "line = json.dumps({'exercise': 'masks-check', 'answers': [{'value': True}] * 3, 'score': 5})\n"
        "for fd in range(1, 64):\n"
        "    try:\n"
        "        os.write(fd, ('\\n' + line + '\\n' + json.dumps({'done': True}) + '\\n').encode())\n"
        "    except OSError:\n"
        "        pass",
        "    return 1",
    ),
    "hostile_objects": (
        "class Always:\n"
        "    def __eq__(self, other): return True\n"
        "    def __float__(self): return 1.0\n"
        "    def __reduce__(self): return (exec, ('import os; os._exit(0)',))\n"
        "    def __getattr__(self, name): return Always()\n"
        "    def __call__(self, *a, **k): return Always()",
        "    return Always()",
    ),
    "subclasses_tensor": (
        "class Sly(torch.Tensor):\n"
        "    def __eq__(self, other): return torch.ones(1, dtype=torch.bool)\n"
        "    @classmethod\n"
        "    def __torch_function__(cls, f, types, args=(), kwargs=None): return True",
        "    return torch.zeros(2, 1, 5, 5).as_subclass(Sly)",
    ),
    "kills_its_parent": ("", "    import os\n    os.kill(os.getppid(), 9)\n    os.kill(-1, 9)"),
    "leaves": ("", "    import os\n    os._exit(0)"),
    "crashes": ("", "    import ctypes\n    ctypes.string_at(0)"),
    "prints_a_gigabyte": (
        "",
        "    import os\n    for _ in range(1024):\n        os.write(1, b'x' * 2**20)\n        print('y' * 2**20)",
    ),
    "returns_a_gigabyte": ("", "    return torch.zeros(2**27)"),
    "recurses": ("", "    return decoder_mask(token_ids, pad_id)"),
    "nests": ("", "    x = []\n    for _ in range(10**5): x = [x]\n    return x"),
    "deletes_itself": (
        "import shutil, os\nshutil.rmtree(os.path.expanduser('~'), True)",
        "    return 1",
    ),
    "closes_everything": ("", "    import os\n    os.closerange(0, 100)"),
    "hijacks_stdout": ("import sys\nsys.stdout = sys.stderr = None", "    return 1"),
    "steals_the_answer": (
        "import gc",
        "    import lesson_tf.checks.attention_exercises as a\n    return a.two_masks.properties",
    ),
}


def test_hostile_submissions_end_in_the_honest_score(course, release, grade, came_in, neighbour):
    for name, (cell, body) in HOSTILE.items():
        mask = f"def decoder_mask(token_ids, pad_id):\n{body}"
        hand_in(came_in, name, filled(release, mask=mask, extra=cell or "pass"))
    results, refused = grade(limits=limits())
    assert refused == []
    points = {name: float(row["attention_points"]) for name, row in rows(course).items()}
    assert points.pop("honest") == FULL
    status = {name: results[name].status for name in HOSTILE}
    assert not [text for text in status.values() if text.startswith("not graded")], status
    # The first exercise is right in all of them, the second one in none: a wrong mask may have a step right.
    for name in HOSTILE:
        assert 4 <= points[name] < 6.5, (name, points[name], status[name])
    for name in ("leaves", "crashes"):
        assert status[name].startswith("stopped: it"), status[name]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (
            "import os, time\n"
            "    for _ in range(9):\n"
            "        try: os.fork()\n"
            "        except OSError: pass\n"
            "    time.sleep(60)",
            "processes",
        ),
        ("x = []\n    while True: x.append(bytearray(2**26))", ""),
        ("import time\n    time.sleep(1000)", ""),
        (
            "import signal, time\n"
            "    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
            "    while True:\n"
            "        try: time.sleep(1)\n"
            "        except BaseException: pass",
            "",
        ),
        ("f = open('/tmp/x', 'wb')\n    while True: f.write(bytes(2**20))", ""),
    ],
    ids=["forks", "eats_memory", "sleeps", "will_not_stop", "fills_the_disk"],
)
def test_greedy_submissions_are_stopped(course, release, grade, came_in, neighbour, body, reason):
    mask = DO_IN_CALL.format(body)
    hand_in(came_in, "greedy", filled(release, mask=mask))
    results, _ = grade(limits=limits(memory=2 * 2**30))
    assert rows(course)["honest"]["attention_points"] == f"{FULL:g}"
    assert rows(course)["greedy"]["attention_points"] == "4"
    assert reason in results["greedy"].status


def test_a_cell_that_ends_the_sandbox_costs_itself_alone(course, release, grade, came_in):
    hand_in(came_in, "ada", filled(release, extra="import os\nos._exit(1)"))
    results, _ = grade()
    assert rows(course)["ada"]["attention_points"] == f"{FULL:g}"
    assert results["ada"].status.startswith("stopped")


# --- Without a sandbox, or interrupted --------------------------------------------------------------


def test_without_a_sandbox_nothing_runs(course, release, came_in, monkeypatch):
    hand_in(came_in, "ada", filled(release))
    monkeypatch.setattr(sandbox, "available", lambda: "bubblewrap is missing.")
    with pytest.raises(GradingError, match=r"bubblewrap is missing\.\n.*UNSAFE=1"):
        Grading(course, progress=False).grade(came_in)
    assert not (course.root / "grades.csv").exists()
    results, _ = Grading(course, unsafe=True, progress=False).grade(came_in)
    assert results[0].status == "graded"
    assert score_of(course, "ada", NAME).earned == FULL


def test_a_fault_of_ours_is_no_zero(course, release, grade, came_in, monkeypatch):
    hand_in(came_in, "ada", filled(release))

    def broken(*_):
        raise RuntimeError("the check is broken")

    monkeypatch.setattr("lesson_tf.grading.grade.judge", broken)
    results, _ = grade()
    assert results["ada"].status == "not graded: RuntimeError: the check is broken"
    assert rows(course)["ada"]["attention_points"] == ""
    monkeypatch.undo()
    grade()
    assert rows(course)["ada"]["attention_points"] == f"{FULL:g}"


def test_a_run_that_is_killed_is_gone_on_with(course, release, came_in, tmp_path):
    for place in range(6):
        hand_in(came_in, f"s{place}", filled(release))
    command = [sys.executable, "-m", "lesson_tf.grading", "grade", str(came_in)]
    command += ["--course", str(course.root), "--workers", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        while len(list((course.root / "graded").rglob("*.json"))) < 2 and process.poll() is None:
            threading.Event().wait(0.1)
        process.kill()
    told = subprocess.run(command, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    assert {row["attention_points"] for row in rows(course).values()} == {f"{FULL:g}"}
    assert len(rows(course)) == 6


def test_the_command_line_says_what_is_missing(tmp_path):
    command = [sys.executable, "-m", "lesson_tf.grading", "grade", str(tmp_path / "none")]
    told = subprocess.run(
        [*command, "--course", str(tmp_path / "course")], capture_output=True, text=True
    )
    assert told.returncode == 1
    assert "there are no assignments yet; `make assignments` makes them" in told.stderr
    assert "Traceback" not in told.stderr


def test_the_gradebook_is_nbgraders_own(course, release, grade, came_in):
    hand_in(came_in, "ada", filled(release))
    grade()
    command = [shutil.which("nbgrader", path=os.path.dirname(sys.executable)), "export"]
    told = subprocess.run(
        [*command, "--to", "exported.csv"],
        cwd=course.root,
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"},
    )
    assert told.returncode == 0, told.stderr
    with (course.root / "exported.csv").open(encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert (row["student_id"], float(row["score"]), float(row["max_score"])) == ("ada", 9.0, 13.0)
    assert json.loads((course.root / "graded" / NAME / "ada.json").read_text())["fingerprint"]
