"""Lines that belong to the page and not to the text: cookie notices, navigation, "read more", copyright remarks.

Which phrases give such a line away is a matter of two word lists: one phrase of `boilerplate` condemns a line that is
not long, while those of `boilerplate_line` are words that a heading may have too ("Comments"), so they count only
where they make up half of a Japanese line or nearly all of another, and the line next to it is navigation as well.
"""

from .phrases import PhraseLists

LONGEST_LINE = 120  # characters: a longer line is a paragraph, which only mentions cookies
NAVIGATION_SHARE = 0.5
LATIN_NAVIGATION_SHARE = 0.9  # a line of code has words such as next and print


def boilerplate_spans(text: str, phrases: PhraseLists) -> list[tuple[int, int]]:
    """(start, end) of every boilerplate line, its line end included."""
    found = phrases.find(text)
    condemned, hinted = found.get("boilerplate", []), found.get("boilerplate_line", [])
    if not condemned and not hinted:
        return []
    spans = []
    navigation: list[tuple[int, int]] = []  # the run of navigation lines that is under way
    separators: list[tuple[int, int]] = []  # lines of signs alone after it, which belong to it if it goes on

    def end_of_run() -> None:
        if len(navigation) > 1:
            spans.extend(navigation)
        navigation.clear()
        separators.clear()

    next_condemned, next_hinted = 0, 0
    start = 0
    while start < len(text):
        end = text.find("\n", start) + 1 or len(text)
        line = text[start:end].strip()
        covered = 0
        while next_hinted < len(hinted) and hinted[next_hinted][0] < end:
            covered += hinted[next_hinted][1] - hinted[next_hinted][0]
            next_hinted += 1
        is_condemned = False
        while next_condemned < len(condemned) and condemned[next_condemned][0] < end:
            is_condemned = len(line) <= LONGEST_LINE
            next_condemned += 1
        if is_condemned:
            end_of_run()
            spans.append((start, end))
        elif covered and covered >= _needed(line):
            navigation.extend([*separators, (start, end)])
            separators.clear()
        elif any(map(str.isalnum, line)):
            end_of_run()
        elif line and navigation:
            separators.append((start, end))
        start = end
    end_of_run()
    return sorted(spans)


def _needed(line: str) -> float:
    """How many characters of navigation words make a line navigation."""
    share = LATIN_NAVIGATION_SHARE if line.isascii() else NAVIGATION_SHARE
    return share * sum(map(str.isalnum, line))


def cut_spans(text: str, spans: list[tuple[int, int]]) -> str:
    """The text without these stretches, which are in order and do not overlap."""
    parts, start = [], 0
    for first, last in spans:
        parts.append(text[start:first])
        start = last
    parts.append(text[start:])
    return "".join(parts)
