"""What comes in, in every form: whose it is, what it is, and why it is refused."""

import json
import os
import stat
import zipfile

import nbformat
import pytest
import small_class
from hypothesis import given
from hypothesis import strategies as st
from small_class import zipped

from lesson_tf.grading import submissions
from lesson_tf.grading.notebooks import lay_over, read_submission, submissions_of
from lesson_tf.grading.owners import owner_of, plain_name
from lesson_tf.grading.submissions import File, files_in

KNOWN = ("attention", "flow")


# --- Whose it is ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "student", "name"),
    [
        ("ada/attention.ipynb", "ada", "attention.ipynb"),
        ("ada/attention/attention.ipynb", "ada", "attention.ipynb"),
        ("attention/ada/attention.ipynb", "ada", "attention.ipynb"),
        ("attention/ada.ipynb", "ada", "ada.ipynb"),
        ("ada.ipynb", "ada", "ada.ipynb"),
        ("ada_attention.ipynb", "ada", "ada_attention.ipynb"),
        ("attention-ada.ipynb", "ada", "attention-ada.ipynb"),
        (
            "Ada Lovelace_99_assignsubmission_file_/attention.ipynb",
            "Ada_Lovelace",
            "attention.ipynb",
        ),
        ("Ada Lovelace_99_assignsubmission_file/x.ipynb", "Ada_Lovelace", "x.ipynb"),
        ("lovelaceada_12345_67890_attention.ipynb", "lovelaceada", "attention.ipynb"),
        ("lovelaceada_LATE_12345_67890_attention-2.ipynb", "lovelaceada", "attention-2.ipynb"),
        (
            "Homework 1_alovelace_attempt_2026-11-28-10-00-00_attention.ipynb",
            "alovelace",
            "attention.ipynb",
        ),
        ("山田太郎/attention.ipynb", "山田太郎", "attention.ipynb"),
    ],
)
def test_owner_of(path, student, name):
    owner, own, _, late = owner_of(tuple(path.split("/")), KNOWN)
    assert (plain_name(owner), own) == (student, name)
    assert late == ("LATE" in path)


@given(st.text(max_size=40))
def test_names_are_safe_folders(text):
    name = plain_name(text)
    assert name and name not in (".", "..") and len(name) <= 80
    assert not set(name) & set("/\\*?[]:<>|\"'\n\0+= ")
    assert name[0] not in "-@.=+"


def test_namesakes_stay_apart(tmp_path, release):
    for number, name in (("11", "attention"), ("22", "mine")):
        folder = tmp_path / f"Kim Lee_{number}_assignsubmission_file_"
        small_class.hand_in(tmp_path, folder.name, release, f"{name}.ipynb")
    files, _ = files_in(tmp_path, KNOWN)
    found, refused = submissions_of(files, {"attention": release})
    assert sorted(one.student for one in found) == ["Kim_Lee-11", "Kim_Lee-22"] and not refused


def test_names_that_would_be_one_are_refused(tmp_path, release):
    for name in ("a b", "a_b", "zoë", "zoe\u0308"):
        small_class.hand_in(tmp_path, name, release)
    files, _ = files_in(tmp_path, KNOWN)
    found, refused = submissions_of(files, {"attention": release})
    assert [one.student for one in found] == ["zoë"]
    told = [refusal.reason for refusal in refused if refusal.student == "a_b"]
    assert len(told) == 2 and "the names 'a b' and 'a_b' would be one in the gradebook" in told[0]


# --- Folders and zips -------------------------------------------------------------------------------


def test_a_zip_of_a_class_and_a_zip_of_one_student(tmp_path):
    (tmp_path / "all.zip").write_bytes(
        zipped(
            {
                "Ada L_1_assignsubmission_file_/attention.ipynb": "{}",
                "Bob M_2_assignsubmission_file_/work.zip": zipped({"attention.ipynb": "{}"}),
                "__MACOSX/x": "",
            }
        )
    )
    other = zipped({"Ada L_7_assignsubmission_file_/flow.ipynb": "{}"})
    (tmp_path / "another week.zip").write_bytes(other)
    files, refused = files_in(tmp_path, KNOWN)
    assert sorted(file.student for file in files) == ["Ada_L", "Ada_L", "Bob_M"]
    assert refused == []
    # Beside other files it could be one student's, who would bring work in another's name.
    (tmp_path / "cy.zip").write_bytes(zipped({"attention/attention.ipynb": "{}"}))
    files, refused = files_in(tmp_path, KNOWN)
    assert [file.student for file in files] == ["cy"]
    assert sorted(refusal.student for refusal in refused) == ["all", "another_week"]


def test_the_folder_may_be_a_zip_itself(tmp_path):
    (tmp_path / "all.zip").write_bytes(zipped({"ada/a.ipynb": "{}", "bob/a.ipynb": "{}"}))
    files, _ = files_in(tmp_path / "all.zip", KNOWN)
    assert sorted(file.student for file in files) == ["ada", "bob"]


def test_a_broken_zip_a_bomb_and_a_climbing_entry(tmp_path, monkeypatch):
    monkeypatch.setattr(submissions, "MOST_BYTES", 100_000)
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04 nothing")
    (tmp_path / "bomb.zip").write_bytes(zipped({"attention.ipynb": b" " * 10_000_000}))
    (tmp_path / "climb.zip").write_bytes(zipped({"../../../escaped.ipynb": "{}"}))
    files, refused = files_in(tmp_path, KNOWN)
    reasons = {refusal.student: refusal.reason for refusal in refused}
    assert "cannot be opened" in reasons["broken"]
    assert "more than" in reasons["bomb"]
    assert [file.name for file in files] == ["escaped.ipynb"]
    assert not list(tmp_path.parent.glob("escaped*"))


def test_a_zip_that_needs_a_password_is_refused(tmp_path):
    data = bytearray(zipped({"attention.ipynb": "{}"}))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.find(signature) + offset] |= 1  # The flag of an encrypted entry.
    (tmp_path / "ada.zip").write_bytes(data)
    files, refused = files_in(tmp_path, KNOWN)
    assert files == [] and refused[0].student == "ada"


def test_links_are_not_followed(tmp_path):
    (tmp_path / "came").mkdir()
    (tmp_path / "secret.ipynb").write_text("{}")
    os.symlink(tmp_path / "secret.ipynb", tmp_path / "came" / "ada.ipynb")
    entry = zipfile.ZipInfo("attention.ipynb")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "came" / "bob.zip", "w") as archive:
        archive.writestr(entry, "/etc/passwd")
    files, refused = files_in(tmp_path / "came", KNOWN)
    assert files == []
    assert {r.student for r in refused} == {"ada", "bob"}
    assert all("link" in refusal.reason for refusal in refused)


def test_too_large_a_file_is_refused_unread(tmp_path, monkeypatch):
    monkeypatch.setattr(submissions, "MOST_BYTES", 1000)
    (tmp_path / "ada.ipynb").write_bytes(b"x" * 2000)
    files, refused = files_in(tmp_path, KNOWN)
    assert files == [] and "are allowed" in refused[0].reason


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(ValueError, match="there is no"):
        files_in(tmp_path / "nowhere", KNOWN)


# --- Notebooks --------------------------------------------------------------------------------------


def file_of(notebook, name="attention.ipynb", student="ada", written=0.0):
    data = notebook if isinstance(notebook, bytes) else json.dumps(notebook).encode()
    return File(student, f"{student}/{name}", name, data, written)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is empty"),
        (b"  \n", "is empty"),
        (b"{", "broken"),
        (b'{"cells": [', "broken"),
        (b"\xff\xfe\x00", "not text in UTF-8"),
        (b"[" * 100_000, "broken"),
        (b"[]", "no notebook of format 4"),
        (b'{"worksheets": []}', "no notebook of format 4"),
        (b'{"cells": 3}', "no notebook of format 4"),
        (b'{"cells": [3, null, {"source": 3}, {"source": [1]}]}', "none of the assignments"),
    ],
)
def test_what_is_no_notebook_is_told_why(release, data, reason):
    with pytest.raises(ValueError, match=reason):
        read_submission(file_of(data), {"attention": release})


def test_another_kind_of_file_is_named(release):
    with pytest.raises(ValueError, match=r"essay\.pdf is no notebook"):
        read_submission(file_of(b"%PDF", "essay.pdf"), {"attention": release})


def test_a_renamed_notebook_is_known_by_its_cells(release):
    renamed = read_submission(
        file_of(small_class.filled(release), "Untitled3.ipynb"), {"attention": release}
    )
    assert renamed.assignment == "attention"
    assert renamed.remarks == ("the file was called Untitled3.ipynb",)


def test_an_honest_notebook_has_no_remarks(release):
    honest = read_submission(
        file_of(small_class.filled(release, extra="x = 1")), {"attention": release}
    )
    assert honest.remarks == ()


def test_a_notebook_without_metadata_is_known_by_its_ids(release):
    notebook = small_class.filled(release)
    for cell in notebook.cells:
        cell.metadata = {}
    read_back = read_submission(file_of(notebook), {"attention": release})
    assert read_back.remarks == ()
    assert sum("nbgrader" in cell.metadata for cell in read_back.notebook.cells) == 5


def test_locked_cells_are_restored_and_named(release):
    notebook = small_class.filled(release)
    for cell in notebook.cells:
        if cell.id == "attention-check":
            cell.source = "4"
    notebook.cells = [cell for cell in notebook.cells if cell.id != "masks-check"]
    laid, remarks = lay_over_raw(notebook, release)
    assert "cell attention-check was changed, though it is locked" in remarks
    assert "cell masks-check was missing" in remarks
    sources = [cell.source for cell in laid.cells]
    assert "checks.attention(attention, points=4)" in sources
    assert "checks.two_masks(decoder_mask, points=5)" in sources


def lay_over_raw(notebook, release):
    for cell in notebook.cells:
        cell.metadata["given"] = cell.metadata.get("nbgrader", {}).get("grade_id", "")
    return lay_over(notebook, release)


def test_metadata_of_the_student_are_not_believed(release):
    notebook = small_class.filled(release)
    for cell in notebook.cells:
        if "nbgrader" in cell.metadata:
            cell.metadata["nbgrader"] |= {"points": 1000, "locked": False, "schema_version": 1}
    laid = read_submission(file_of(notebook), {"attention": release}).notebook
    points = [
        cell.metadata.nbgrader.get("points") for cell in laid.cells if "nbgrader" in cell.metadata
    ]
    assert sorted(point for point in points if point) == [4, 4, 5]


def test_a_second_cell_of_one_name_is_the_students_own(release):
    notebook = small_class.filled(release)
    copied = nbformat.from_dict(json.loads(json.dumps(notebook.cells[3])))
    notebook.cells.append(copied)
    laid = read_submission(file_of(notebook), {"attention": release})
    assert any("twice" in remark for remark in laid.remarks)


def test_the_later_of_two_notebooks_counts(release):
    files = [
        file_of(small_class.filled(release, why="new"), "attention.ipynb", written=2.0),
        file_of(small_class.filled(release, why="old"), "attention (1).ipynb", written=1.0),
    ]
    found, refused = submissions_of(files, {"attention": release})
    assert [any(c.source == "new" for c in one.notebook.cells) for one in found] == [True]
    assert "later one" in refused[0].reason and "(1)" in refused[0].origin


def test_files_beside_a_notebook_are_no_refusals(release):
    files = [file_of(small_class.filled(release)), file_of(b"", "notes.txt"), file_of(b"", "x.png")]
    found, refused = submissions_of(files, {"attention": release})
    assert len(found) == 1 and refused == []
    _, refused = submissions_of([file_of(b"", "x.png", "bob")], {"attention": release})
    assert refused[0].student == "bob"


@given(st.binary(max_size=200))
def test_any_bytes_are_a_submission_or_a_refusal(data):
    release = nbformat.v4.new_notebook()
    found, refused = submissions_of([file_of(data)], {"attention": release})
    assert len(found) + len(refused) == 1


def test_of_two_assignments_with_the_same_cells_the_metadata_tell(release):
    both = {"concept_test_before": release, "concept_test_after": release}
    own = json.loads(nbformat.writes(release))
    for name in both:
        own["metadata"]["lesson_tf"] = {"assignment": name}
        told = read_submission(
            File("ada", "mine.ipynb", "mine.ipynb", json.dumps(own).encode()), both
        )
        assert told.assignment == name
    for odd in (None, [], {"assignment": 7}, {"assignment": "flow"}):
        own["metadata"]["lesson_tf"] = odd
        path = "ada/concept_test_after.ipynb"
        told = read_submission(File("ada", path, "a.ipynb", json.dumps(own).encode()), both)
        assert told.assignment == "concept_test_after"
