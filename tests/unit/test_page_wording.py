"""What pages call an interaction, by the `verb` of the catalog."""

import re
from typing import get_args

import pytest

from recjobs.catalog.file import Catalog
from webapp.pages.formatting import SOURCES
from webapp.pages.wording import BOUGHT, WORDINGS, wording_of


def test_the_pages_have_words_for_each_verb_that_a_catalog_may_say() -> None:
    assert tuple(WORDINGS) == get_args(Catalog.model_fields["verb"].annotation)
    assert wording_of(Catalog.model_fields["verb"].default) is BOUGHT


def test_the_words_of_bought_are_those_of_before_the_setting() -> None:
    assert (BOUGHT.participle, BOUGHT.past, BOUGHT.event, BOUGHT.events) == ("bought", "took", "purchase", "purchases")
    assert BOUGHT.sources == SOURCES


@pytest.mark.parametrize("verb", [verb for verb in WORDINGS if verb != "bought"])
def test_the_words_of_another_verb_are_of_no_shop(verb: str) -> None:
    words = WORDINGS[verb]
    meanings = [meaning for _, meaning in words.sources.values()]
    texts = " ".join([words.participle, words.past, words.event, words.events, *meanings])
    assert re.findall(r"\b(buys?|bought|took|takes?|taken|purchases?|orders?)\b", texts) == []
    assert words.participle == verb
    assert words.sources.keys() == SOURCES.keys()


@pytest.mark.parametrize("verb", [None, "eaten"])
def test_a_verb_of_a_later_release_has_the_words_of_bought(verb: str | None) -> None:
    assert wording_of(verb) is BOUGHT
