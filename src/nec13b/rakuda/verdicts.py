"""What a judge's review says: the first answer is better, the second, or neither; or nothing that can be read.

The formats are those that Rakuda's prompts ask for (version 1 of 2023-07, version 2) and FastChat's, from which the
second version comes.
"""

import re

FIRST, SECOND, TIE, UNREADABLE = VERDICTS = ("first", "second", "tie", "unreadable")
LAST_DIGIT, LETTER_IN_BRACKETS, TWO_GRADES = FORMATS = ("last", "[[A]]", "[[rating_a,rating_b]]")
POINTS = {FIRST: 1.0, SECOND: 0.0, TIE: 0.5}  # of the first answer
BY_DIGIT = {1: FIRST, 2: SECOND, 3: TIE}
DIGIT = re.compile(r"\d")  # of any script: half width, full width
GRADES = re.compile(r"\[?\[(\d+(?:\.\d+)?)[,、，]\s*(\d+(?:\.\d+)?)\]\]?")
EQUAL_GRADES = 0.1  # FastChat's: grades no further apart are a tie


def verdict_of(review: str, output_format: str = LAST_DIGIT) -> str:
    """The verdict of a review.

    Args:
        review: what the judge said.
        output_format: `last`: the last digit of the review, in half or full width, is 1 (the first answer is better),
            2 (the second) or 3 (a tie). `[[A]]`: the last of [[A]], [[B]] and [[C]] (a tie). `[[rating_a,rating_b]]`:
            the higher of the last two grades.

    Returns:
        One of VERDICTS; `unreadable` where the review holds none, or a digit that is no verdict.
    """
    if output_format == LAST_DIGIT:
        digits = DIGIT.findall(review)
        return BY_DIGIT.get(int(digits[-1]), UNREADABLE) if digits else UNREADABLE
    if output_format == LETTER_IN_BRACKETS:
        letters = re.findall(r"\[\[([ABC])\]\]", review)
        return {"A": FIRST, "B": SECOND, "C": TIE}[letters[-1]] if letters else UNREADABLE
    if output_format == TWO_GRADES:
        grades = GRADES.findall(review)
        if not grades:
            return UNREADABLE
        first, second = map(float, grades[-1])
        return TIE if abs(first - second) <= EQUAL_GRADES else FIRST if first > second else SECOND
    raise ValueError(f"no such format of verdicts: {output_format!r}; known are {', '.join(FORMATS)}")


def swapped(verdict: str) -> str:
    """The verdict as it reads when the answers change places."""
    return {FIRST: SECOND, SECOND: FIRST}.get(verdict, verdict)
