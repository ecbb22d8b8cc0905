"""The page over HTTP: who is let in, what a form does, and what it does when it comes twice, late or from elsewhere."""

import re

import pytest

pytest.importorskip("starlette", reason="starlette is not installed: pip install nec13b[annotate]")
from starlette.testclient import TestClient

from nec13b.annotation.guidelines import guidelines
from nec13b.annotation.logins import Logins, password_hash
from nec13b.annotation.pair_questions import pair_of_row
from nec13b.annotation.web_app import MOST_BYTES, POLICY, AnnotationPage

HOSTS = ["127.0.0.1"]


@pytest.fixture
def page_of(campaign_of_pairs):
    """A campaign, and a function that opens its page as somebody new."""

    def make(count: int = 4, people: dict[str, str] | None = None, **settings):
        campaign, questions = campaign_of_pairs(count, **settings)
        logins = people and Logins({name: password_hash(password) for name, password in people.items()})
        page = AnnotationPage(campaign, questions, guidelines("", "pairs"), logins)
        app = page.app("k" * 64, HOSTS)
        return campaign, lambda **more: Visitor(TestClient(app, base_url="http://127.0.0.1", **more))

    return make


class Visitor:
    """A browser without a script."""

    def __init__(self, client: TestClient):
        self.client = client

    def look(self, **headers) -> str:
        return self.client.get("/", headers=headers).text

    def send(self, path: str, headers: dict | None = None, **fields):
        page = self.look()
        hidden = {"csrf": field(page, "csrf")}
        if path == "/judge":
            hidden["token"] = field(page, "token")
        return self.client.post(path, data={**hidden, **fields}, headers=headers, follow_redirects=False)

    def enter(self, name: str, password: str = ""):
        return self.send("/enter", name=name, password=password)


def field(page: str, name: str) -> str:
    return re.search(f'name="{name}" value="([^"]*)"', page)[1]


def test_a_judgement_is_kept_and_the_next_pair_comes(page_of):
    campaign, visit = page_of()
    ken = visit()
    assert ken.enter("ken").status_code == 303
    first = field(ken.look(), "token")
    answer = ken.send("/judge", choice="tie", comment="ほぼ同じ", seconds="0")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    (judgement,) = campaign.judgements()
    assert (judgement.annotator, judgement.content["verdict"], judgement.content["comment"]) == (
        "ken",
        "tie",
        "ほぼ同じ",
    )
    assert field(ken.look(), "token") != first


def test_a_form_that_comes_twice_is_one_judgement(page_of):
    campaign, visit = page_of()
    ken = visit()
    ken.enter("ken")
    token = field(ken.look(), "token")
    ken.send("/judge", choice="tie")
    again = ken.send("/judge", token=token, choice="a_better")
    assert again.headers["location"] == "/?said=known"
    assert len(campaign.judgements()) == 1
    assert ken.send("/judge", {"accept": "application/json"}, token=token, choice="tie").json()["go"] == "/?said=known"


def test_taking_back_shows_the_pair_with_what_was_said(page_of):
    campaign, visit = page_of()
    ken = visit()
    ken.enter("ken")
    shown = ken.look()
    ken.send("/judge", choice="both_bad", reasons=["wrong", "harmful"], comment="理由")
    token = re.search(r'id="undo">.*?name="token" value="([^"]*)"', ken.look(), re.DOTALL)[1]
    assert ken.send("/undo", token=token).headers["location"] == "/?said=taken_back"
    assert campaign.judgements() == []
    page = ken.look()
    assert re.search(r"一つ目\d", page)[0] == re.search(r"一つ目\d", shown)[0]
    assert re.search(r'value="both_bad"[^>]*checked', page)
    assert re.search(r'value="wrong"[^>]*checked', page)
    assert 'value="理由"' in page
    assert ken.send("/undo", token=token).headers["location"] == "/?said=nothing_to_undo"


def test_a_form_without_a_choice_says_so(page_of):
    campaign, visit = page_of()
    ken = visit()
    ken.enter("ken")
    answer = ken.send("/judge", {"accept": "application/json"})
    assert (answer.status_code, answer.json()["said"]) == (400, "Choose a verdict first.")
    assert campaign.judgements() == []


def test_strangers_are_refused(page_of):
    campaign, visit = page_of(people={"ken": "a long password", "mei": "another one"})
    stranger = visit()
    page = stranger.look()
    assert "質問" not in page
    assert 'type="password"' in page
    for name, password in (("ken", "wrong"), ("ken", ""), ("nobody", "a long password"), ("ken", "another one")):
        assert stranger.enter(name, password).status_code == 401
    assert stranger.client.post("/judge", data={"csrf": field(page, "csrf")}).status_code == 401
    assert stranger.client.post("/undo", data={"csrf": field(page, "csrf")}).status_code == 401
    assert "質問" not in stranger.look()
    assert campaign.judgements() == []
    ken = visit()
    assert ken.enter("ken", "a long password").status_code == 303
    assert "質問" in ken.look()
    ken.send("/leave")
    assert "質問" not in ken.look()


def test_guessing_is_slowed_down(page_of):
    _, visit = page_of(people={"ken": "a long password"})
    stranger = visit()
    assert [stranger.enter("ken", "wrong").status_code for _ in range(9)] == [401] * 8 + [429]
    assert stranger.enter("ken", "a long password").status_code == 429


def test_a_cookie_that_was_made_up_is_nobody(page_of):
    _, visit = page_of(people={"ken": "a long password"})
    ken = visit()
    ken.enter("ken", "a long password")
    cookie = ken.client.cookies["nec13b_annotation"]
    forger = visit(cookies={"nec13b_annotation": "x" + cookie[1:]})
    assert 'type="password"' in forger.look()


def test_forms_of_other_pages_are_refused(page_of):
    campaign, visit = page_of()
    ken = visit()
    ken.enter("ken")
    token = field(ken.look(), "token")
    for csrf in ({}, {"csrf": ""}, {"csrf": "あ"}, {"csrf": "x" * 22}):
        answer = ken.client.post("/judge", data={**csrf, "token": token, "choice": "tie"}, follow_redirects=False)
        assert answer.status_code == 403
    mei = visit()
    mei.enter("mei")
    assert mei.send("/judge", token=token, choice="tie").headers["location"] == "/?said=strange"
    assert campaign.judgements() == []


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"content-type": "application/x-www-form-urlencoded"}, b"a=" + b"x" * MOST_BYTES, 413),
        ({"content-type": "application/x-www-form-urlencoded"}, iter([b"a=b"]), 411),
        ({"content-type": "multipart/form-data; boundary=x"}, b"--x--", 415),
        ({"content-type": "application/json"}, b"{}", 415),
        ({"content-type": "application/x-www-form-urlencoded"}, b"&".join([b"a=b"] * 300), 400),
        ({"content-type": "application/x-www-form-urlencoded"}, b"\xff%ff=%zz&&==", 403),
    ],
)
def test_bodies_that_are_no_form_of_ours(page_of, headers, body, status):
    _, visit = page_of(1)
    assert visit().client.post("/judge", content=body, headers=headers).status_code == status


def test_other_names_of_this_machine_are_refused(page_of):
    _, visit = page_of(1)
    assert visit().client.get("/", headers={"host": "rebound.example"}).status_code == 400


def test_hostile_text_is_text(page_of, hostile):
    campaign, visit = page_of(1)
    ken = visit()
    ken.enter("ken")
    ken.send("/language", language="ja")
    page = ken.look()
    pair = pair_of_row(next(campaign.tasks()).row)
    assert hostile in pair.first.text
    assert page.count("<script") == 1  # the page's own
    assert "<img" not in page
    assert "&lt;script&gt;window.hacked = 1" in page
    assert "{{ 7 * 7 }} &amp;lt;b&amp;gt;" in page
    assert "RLO" in page
    assert "SECRET" not in page
    textareas = page.count("<textarea")
    assert page.count("</textarea>") == textareas == 2


def test_names_are_text_too(page_of):
    _, visit = page_of(1)
    for name in ("", " ", "x" * 41, "a\u202eb", "a\x00b"):
        assert visit().enter(name).status_code == 400
    ken = visit()
    assert ken.enter("<b>ken</b>").status_code == 303
    assert "&lt;b&gt;ken&lt;/b&gt;" in ken.look()


def test_the_language_is_the_browsers_until_another_is_chosen(page_of):
    _, visit = page_of(1)
    ken = visit()
    assert "Your name" in ken.look()
    assert "お名前" in ken.look(**{"accept-language": "ja-JP,en;q=0.5"})
    assert ken.send("/language", language="ja").status_code == 303
    assert "お名前" in ken.look()
    assert ken.send("/language", language="xx").status_code == 303
    assert "お名前" in ken.look()


def test_when_all_is_done(page_of):
    _, visit = page_of(1, judgements_per_task=1)
    ken, mei = visit(), visit()
    ken.enter("ken")
    ken.send("/judge", choice="b_better")
    assert "All done" in ken.look()
    mei.enter("mei")
    assert "All done" in mei.look()


def test_every_answer_says_what_a_browser_may_do(page_of):
    _, visit = page_of(1)
    ken = visit()
    cookie = ken.client.get("/").headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    for path in ("/", "/static/annotation.js", "/static/annotation.css", "/no-such-page"):
        headers = ken.client.get(path).headers
        assert headers["content-security-policy"] == POLICY
        assert headers["x-content-type-options"] == "nosniff"
    assert "unsafe" not in POLICY
    assert ken.client.get("/").headers["cache-control"] == "no-store"
    assert ken.client.get("/static/..%2fweb_app.py").status_code == 404
    assert ken.client.get("/?said=<script>").status_code == 200


def test_page_says_nothing_of_a_foreign_notice(page_of):
    _, visit = page_of(1)
    assert "<script>alert" not in visit().client.get("/?said=<script>alert(1)</script>").text
