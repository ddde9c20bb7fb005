"""The glossary: `harness explain` prints it, and other pages that define a word say the same."""

import re
from pathlib import Path

import pytest

from experiments.glossary import explained, glossary
from experiments.parameters import SWEEP
from harness.errors import BadInputError
from tests.documented import rows_of

README = Path(__file__).parents[2] / "README.md"
# fmt: off
OURS = {
    "config", "run", "state", "slice", "trajectory", "trial", "study", "rung", "winner", "final", "replicate",
    "sweep", "experiment", "outcome", "margin", "look", "verdict", "budget", "population", "published start", "seed",
    "confirmation",
}
# fmt: on


def test_the_words_of_the_project_are_explained_in_a_sentence_or_two():
    assert glossary().keys() >= OURS
    for word, text in glossary().items():
        assert re.fullmatch(r"[A-Z][^|]*\.", text), word
        assert len(re.findall(r"\.(?: |$)", text)) <= 2, word


def test_explain_prints_an_entry_or_all_words(harness, harness_json):
    assert harness("explain", "margin").stdout == f"margin: {glossary()['margin']}\n"
    assert harness("explain").stdout.strip().split(", ") == list(glossary())
    assert harness_json("explain", "Finals") == {"word": "final", "text": glossary()["final"]}
    assert harness_json("explain") == glossary()


@pytest.mark.parametrize("asked", ["published start", "Published Starts", "studies", "SEEDS"])
def test_a_word_is_found_whatever_its_case_and_number(asked):
    assert explained(asked)[0] in {"published start", "study", "seed"}


@pytest.mark.parametrize(
    ("asked", "said"), [("finel", "did you mean 'final' or"), ("xyzzy", "'xyzzy' is not in the glossary; `harness")]
)
def test_an_unknown_word_is_refused_with_those_near_it(harness, asked, said):
    result = harness("explain", asked)
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert said in result.stderr
    with pytest.raises(BadInputError):
        explained(asked)


@pytest.mark.parametrize("word", ["budget", "margin"])
def test_a_word_that_is_an_option_has_the_options_sentence(word):
    assert glossary()[word].startswith(SWEEP[word])


def test_the_readmes_table_of_words_says_what_the_glossary_says():
    assert differing(README.read_text(encoding="utf-8")) == {}


def test_a_table_that_differs_from_the_glossary_is_found():
    said = glossary()
    table = f"## Eight words\n\n| word | |\n|---|---|\n| **run** | {said['run']} |\n| **final** | A run. |\n"
    assert differing(table) == {"final": "A run."}
    assert differing(table.replace("Eight words", "Use")) == {}


def differing(document):
    """Return the words that the document's tables under headings with "words" explain differently."""
    sections = re.split(r"^(?=##? )", document, flags=re.MULTILINE)
    of_words = [each for each in sections if "words" in each.partition("\n")[0].lower()]
    rows = {word: text for each in of_words for word, text in rows_of(each).items()}
    return {word: text for word, text in rows.items() if glossary().get(word) != text}
