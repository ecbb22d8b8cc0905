"""Campaigns of a few pairs, in a folder of their own."""

import json

import pytest

from nec13b.annotation.campaign import Campaign
from nec13b.annotation.pair_questions import PairQuestions

# What would run, load, turn around or hide, if it were not shown as text.
HOSTILE = (
    "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'> {{ 7 * 7 }} &lt;b&gt; "
    "[link](javascript:window.hacked=3) ![seen](http://example.com/seen.png) </textarea></div>\u202eedoc\u202c\u200bend"
)


@pytest.fixture(scope="session")
def hostile() -> str:
    return HOSTILE


@pytest.fixture(scope="session")
def pair_rows():
    """Rows of pairs; those at or after `count` are checks, whose first answer is the better one."""

    def rows(count: int, checks: int = 0) -> list[dict]:
        made = [
            {
                "id": f"p{i}",
                "prompt": [{"role": "user", "content": f"質問{i} {HOSTILE}"}],
                "answers": [
                    {"text": f"一つ目{i} {HOSTILE}", "provenance": {"model": "SECRET-A"}},
                    {"text": f"二つ目{i}"},
                ],
            }
            for i in range(count + checks)
        ]
        for row in made[count:]:
            row["provenance"] = {"check": {"better": "first"}}
        return made

    return rows


@pytest.fixture
def campaign_of_pairs(tmp_path, pair_rows):
    """A campaign of pairs and its questions."""

    def make(count: int, checks: int = 0, **settings) -> tuple[Campaign, PairQuestions]:
        path = tmp_path / "pairs.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in pair_rows(count, checks)))
        questions = PairQuestions(str(path))
        campaign = Campaign(tmp_path / "campaign.sqlite", **{"judgements_per_task": 2, **settings})
        campaign.take_in(questions.tasks())
        return campaign, questions

    return make
