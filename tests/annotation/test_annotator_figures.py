"""What the report says of each person."""

from nec13b.annotation.annotation_report import annotation_report, write_report
from nec13b.annotation.annotator_figures import annotator_figures, check_drift, position_bias
from nec13b.preferences.adjudication import AdjudicationRule
from nec13b.preferences.answer_pair import AnswerPair, CandidateAnswer
from nec13b.preferences.judgement import Judgement

FIRST, SECOND = "first_better", "second_slightly_better"


def said(verdicts: list[str], name: str = "ken", **more) -> list[Judgement]:
    return [Judgement(f"p{i}", name, verdict, **more) for i, verdict in enumerate(verdicts)]


def pairs(count: int, checks: int = 0) -> list[AnswerPair]:
    prompt = [{"role": "user", "content": "?"}]
    return [
        AnswerPair(
            f"p{i}", prompt, CandidateAnswer("a"), CandidateAnswer("b"),
            provenance={"check": {"better": "first"}} if i < checks else {},
        )
        for i in range(count)
    ]  # fmt: skip


def test_who_always_takes_the_left_one_is_pointed_out():
    left = [*said([FIRST] * 6, shown_first="first"), *said([SECOND] * 6, shown_first="second")]
    bias = position_bias(left)
    assert (bias["first"], bias["of"], bias["suspect"]) == (12, 12, True)
    assert 0.7 < bias["interval"][0] < bias["interval"][1] == 1
    fair = position_bias([*said([FIRST] * 6, shown_first="first"), *said([FIRST] * 6, shown_first="second")])
    assert (fair["first"], fair["of"], fair["suspect"]) == (6, 12, False)


def test_ties_say_nothing_of_sides():
    assert position_bias(said(["tie", "both_bad", "skipped"], shown_first="first"))["of"] == 0


def test_who_gets_worse_on_checks_is_pointed_out():
    better = {f"p{i}": "first" for i in range(12)}
    drift = check_drift(said([FIRST] * 6 + [SECOND] * 4 + ["tie", FIRST]), better)
    assert (drift["right"], drift["of"], drift["early"], drift["late"]) == (7, 12, [6, 6], [1, 6])
    assert drift["suspect"]
    assert drift["cases"][-2:] == [[10, False], [11, True]]
    assert not check_drift(said([SECOND] * 5 + [FIRST] * 7), better)["suspect"]  # better later on
    assert check_drift([], better)["of"] == 0


def test_agreement_and_time_by_fifths():
    ken = said([FIRST] * 10, seconds=8.0)
    mei = said([FIRST] * 5 + [SECOND] * 5, "mei", seconds=2.0)
    zoe = said([FIRST] * 10, "zoe")
    rows = {row["annotator"]: row for row in annotator_figures(pairs(10), [*ken, *mei, *zoe])}
    assert [part["agree"] for part in rows["mei"]["parts"]] == [1, 1, 0.5, 0, 0]
    assert rows["mei"]["seconds"] == 2.0
    assert rows["zoe"]["seconds"] is None


def test_checks_are_not_held_against_agreement():
    rows = annotator_figures(pairs(4, checks=4), [*said([FIRST] * 4), *said([SECOND] * 4, "mei")])
    assert all(part["agree"] is None for row in rows for part in row["parts"])


def test_the_page_of_an_empty_campaign_and_of_a_hostile_name(campaign_of_pairs, tmp_path):
    campaign, _ = campaign_of_pairs(3, checks=1)
    rule = AdjudicationRule()
    page = write_report(tmp_path, annotation_report(campaign, rule))
    assert "Nobody has judged" in page.read_text()
    name = "<script>x</script>"
    while shown := campaign.task_for(name):
        campaign.judge(shown.token, name, {"verdict": FIRST, "shown_first": "first"})
    report = annotation_report(campaign, rule)
    assert (report["judged"], report["wanted"], report["preferences"], report["checks"]) == (3, 6, 3, 1)
    text = write_report(tmp_path, report).read_text()
    assert "&lt;script&gt;x" in text
    assert name not in text
