"""The instructor's folder: where everything lies, and how nbgrader is set up in it."""

import json
import os
import re
import secrets
import sysconfig
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bleach import ALLOWED_TAGS
from nbformat import from_dict
from nbgrader.api import MissingEntry
from nbgrader.apps import NbGraderAPI
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import GetGrades, NbGraderPreprocessor, SaveAutoGrades
from traitlets import Unicode
from traitlets.config import Config

from lesson_tf.grading.exercise_sources import CODE_STUB, TEXT_STUB

EXAMINED = "examined"
CONFIGURATION = '''"""How nbgrader is set up here; `nbgrader` and its formgrader read it in this folder.

What you add below stays: this file is written once.
"""

from pathlib import Path

from lesson_tf.grading.course import Course

c = get_config()  # noqa: F821
c.merge(Course(Path(__file__).parent).configuration())
'''


class PutOutputs(NbGraderPreprocessor):
    """Stands where nbgrader would run a notebook: gives the cells the outputs that were judged outside."""

    folder = Unicode(help="the folder with the outputs, by assignment and student").tag(config=True)

    def preprocess(self, nb, resources):
        """Set the outputs of every code cell, by its id."""
        who = resources["nbgrader"]
        path = Path(self.folder) / who["assignment"] / f"{who['student']}.json"
        outputs = json.loads(path.read_text(encoding="utf-8"))["outputs"]
        for cell in nb.cells:
            if cell.cell_type == "code":
                cell.outputs = from_dict(outputs.get(cell.id, []))
                cell.execution_count = None
        return nb, resources


class GradesSoFar(GetGrades):
    """Puts grades and comments into the feedback, and says where a 0 only waits for someone to read."""

    def _get_comment(self, cell, resources):
        super()._get_comment(cell, resources)
        name, notebook = cell.metadata.nbgrader.grade_id, self.notebook_id
        try:
            grade = self.gradebook.find_grade(name, notebook, self.assignment_id, self.student_id)
        except MissingEntry:
            return  # Code that a cell below it checks.
        if grade.needs_manual_grade and grade.manual_score is None:
            cell.metadata.nbgrader.comment = (
                "Not graded yet: the points for this answer are to come."
            )


class FreeAmpersands(NbGraderPreprocessor):
    """Undoes what taking out markup does to formulas, whose columns an ampersand and a space part."""

    def preprocess_cell(self, cell, resources, index):
        """Free the ampersands before white space, where none can begin a character of HTML."""
        if cell.cell_type == "markdown":
            cell.source = re.sub(r"&amp;(?=\s)", "&", cell.source)
        return cell, resources


@dataclass(frozen=True)
class Course:
    """The instructor's folder and the paths in it."""

    root: Path

    def __post_init__(self):
        """Make the path absolute: nbgrader changes the working folder."""
        object.__setattr__(self, "root", Path(self.root).resolve())

    @property
    def assignments(self) -> list[str]:
        """Return the names of the assignments that were made."""
        return sorted(path.parent.name for path in self.root.glob("release/*/*.ipynb"))

    def release(self, assignment: str) -> Path:
        """Return the notebook that is handed out."""
        return self.root / "release" / assignment / f"{assignment}.ipynb"

    def zip_path(self, assignment: str, student: str = "") -> Path:
        """Return where the zip for all students lies, or the one for a student."""
        if not student:
            return self.root / "assignments" / f"{assignment}.zip"
        return (
            self.root / "assignments" / f"{assignment}_by_student" / f"{assignment}_{student}.zip"
        )

    def examined(self, student: str, assignment: str) -> Path:
        """Return where a submission lies for nbgrader once it is laid over the notebook handed out.

        That is not where `nbgrader collect` puts what students sent, which stays as it came.
        """
        return self.root / EXAMINED / student / assignment / f"{assignment}.ipynb"

    def settings(self) -> dict:
        """Return the seed of the hidden inputs, and which assignments have variants.

        They are drawn once, and kept in `secret.json`, so that grading again gives the same grades.
        """
        path = self.root / "secret.json"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            self.keep_settings({"seed": secrets.randbits(40), "variants": []})
        return json.loads(path.read_text(encoding="utf-8"))

    def keep_settings(self, settings: dict) -> None:
        """Write the settings."""
        path = self.root / "secret.json"
        path.write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
        path.chmod(0o600)

    def configuration(self) -> Config:
        """Return nbgrader's configuration: outputs are put in, and feedback shows no markup of students."""
        c = Config()
        c.CourseDirectory.root = str(self.root)
        c.CourseDirectory.course_id = "lesson-tf"
        c.CourseDirectory.db_url = f"sqlite:///{self.root / 'gradebook.db'}"
        c.ClearSolutions.text_stub = TEXT_STUB
        c.ClearSolutions.code_stub = {"python": CODE_STUB}
        c.PutOutputs.folder = str(self.root / "outputs")
        # Last, markup is taken out of what students wrote: the formgrader shows it in a browser.
        sanitize = "nbconvert.preprocessors.sanitize.SanitizeHTML"
        c.SanitizeHTML.enabled = True
        c.SanitizeHTML.tags = [*ALLOWED_TAGS, "details", "summary"]
        c.Autograde.autograde_preprocessors = [PutOutputs, SaveAutoGrades, sanitize, FreeAmpersands]
        c.GenerateFeedback.preprocessors = [
            GradesSoFar,
            "nbgrader.preprocessors.ClearHiddenTests",
            "nbconvert.preprocessors.CSSHTMLHeaderPreprocessor",
        ]
        return c

    @cached_property
    def nbgrader(self) -> NbGraderAPI:
        """Return nbgrader's own interface to this folder."""
        self.root.mkdir(parents=True, exist_ok=True)
        # nbgrader calls alembic by name, to make its database.
        scripts, path = sysconfig.get_path("scripts"), os.environ.get("PATH", "")
        if scripts not in path.split(os.pathsep):
            os.environ["PATH"] = os.pathsep.join([scripts, path])
        # In the course's folder `nbgrader formgrader` finds the same settings.
        written = self.root / "nbgrader_config.py"
        if not written.exists():
            written.write_text(CONFIGURATION, encoding="utf-8")
        configuration = self.configuration()
        configuration.CourseDirectory.submitted_directory = EXAMINED
        # Nothing is exchanged here; nbgrader looks for its folder all the same.
        configuration.Exchange.root = str(self.root)
        return NbGraderAPI(CourseDirectory(config=configuration), config=configuration)
