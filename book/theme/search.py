"""Search that finds Japanese words inside English pages."""

import re

from sphinx.application import Sphinx
from sphinx.search.en import SearchEnglish

JAPANESE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]{2,}")


class EnglishWithJapanese(SearchEnglish):
    """Split at spaces, and Japanese, which has none, into neighbouring pairs as well.

    A whole run of Japanese is found by any three or more of its characters; the pairs serve words of two.
    """

    def split(self, input: str) -> list[str]:
        """Give the words to be indexed."""
        words = super().split(input)
        runs = [run for word in words for run in JAPANESE.findall(word)]
        return words + [run[i : i + 2] for run in runs for i in range(len(run) - 1)]


def setup(app: Sphinx) -> None:
    """Replace the search index of English books."""
    app.add_search_language(EnglishWithJapanese)
