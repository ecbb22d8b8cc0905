"""The page in a real browser: two people at once, closed pages, a server that is killed, and text that means harm.

It needs Playwright's Python package and a Chromium of the system; neither downloads a browser here.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter

import pytest

from nec13b.annotation.campaign import Campaign
from nec13b.annotation.interface_text import TEXT
from nec13b.annotation.page_text import NAMES

pytest.importorskip("uvicorn", reason="uvicorn is not installed: pip install nec13b[annotate]")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install nec13b[dev]")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("annotation_page"),  # of one server
    pytest.mark.skipif(not CHROMIUM, reason="there is no chromium; install it, or set CHROMIUM"),
]
SECONDS = 300  # more than any of it takes, on a busy machine
PEOPLE = {"由紀": "a long password", "ken": "another password"}
PAIRS = 50


class Server:
    """The recipe, serving a campaign; it can be killed and started again."""

    def __init__(self, root, folder):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address, self.folder = f"http://127.0.0.1:{self.port}", folder
        self.words = [
            sys.executable, str(root / "recipes" / "annotate_preferences.py"), "--pairs", str(folder / "pairs.jsonl"),
            "--output_dir", str(folder / "out"), "--port", str(self.port), "--judgements_per_pair", "2",
        ]  # fmt: skip
        self.environment = {**os.environ, "NEC13B_ANNOTATORS": ",".join(f"{n}:{p}" for n, p in PEOPLE.items())}
        self.start()

    def start(self) -> None:
        log = (self.folder / "server.log").open("ab")
        self.process = subprocess.Popen(self.words, env=self.environment, stdout=log, stderr=log)

    def wait(self) -> None:
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                urllib.request.urlopen(self.address, timeout=5)
                return
            except OSError:
                assert self.process.poll() is None, (self.folder / "server.log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.2)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(SECONDS)


@pytest.fixture(scope="module")
def server(root, pair_rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("annotation")
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in pair_rows(PAIRS)))
    server = Server(root, folder)
    server.wait()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def context_of(browser, server):
    """A browser of somebody's own; in the end, nothing must have been asked of another host, nor gone wrong."""
    contexts, asked, errors = [], [], []

    def make(**more):
        context = browser.new_context(**{"locale": "ja-JP", **more})
        context.set_default_timeout(SECONDS * 1000)
        context.on("request", lambda request: asked.append(request.url))
        context.on("weberror", lambda error: errors.append(str(error.error)))
        contexts.append(context)
        return context

    yield make
    for context in contexts:
        context.close()
    assert {url for url in asked if not url.startswith((server.address, "data:"))} == set()
    assert errors == []


def enter(context, server, name: str, password: str):
    page = context.new_page()
    page.goto(server.address)
    page.fill("[name=name]", name)
    page.fill("[name=password]", password)
    page.click(".enter .save")
    page.wait_for_load_state("load")
    return page


def token_of(page) -> str:
    return page.locator("#judgement [name=token]").get_attribute("value")


def gone_on(page, token: str) -> None:
    """Waits until the page shows something else than the task of a token."""
    page.wait_for_function(
        "token => document.readyState === 'complete' && document.querySelector('h1') && "
        "document.querySelector('#judgement [name=token]')?.value !== token",
        arg=token,
    )


def judge(page, key: str) -> None:
    token = token_of(page)
    page.keyboard.press(key)
    page.keyboard.press("Enter")
    gone_on(page, token)


def judgements(server) -> list:
    return Campaign(server.folder / "out" / "campaign.sqlite", 2).judgements()


def test_a_stranger_is_refused(server, context_of):
    page = enter(context_of(), server, "ken", "not the password")
    page.get_by_text(TEXT["ja"]["wrong_login"]).wait_for()
    assert page.locator("#judgement").count() == 0
    for path in ("judge", "undo"):
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(f"{server.address}/{path}", data=b"token=x&choice=tie")


@pytest.mark.parametrize("width", [360, 390, 1280])
def test_hostile_text_is_text_at_any_width(server, context_of, hostile, width):
    page = enter(context_of(viewport={"width": width, "height": 800}), server, "由紀", PEOPLE["由紀"])
    page.wait_for_selector("#judgement")
    shown = hostile
    for mark, name in NAMES.items():
        shown = shown.replace(mark, name)
    assert shown != hostile
    assert shown in page.inner_text(".prompt .user")
    assert sum(shown in page.locator(".answer .text").nth(i).inner_text() for i in range(2)) == 1
    for tag in ("script", "img", "iframe", "a"):
        assert page.locator(f"main {tag}").count() == 0
    assert page.evaluate("window.hacked") is None
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.keyboard.press("1")
    for part in (".choice.a_better", ".choice.both_bad", "#save"):
        box = page.locator(part).bounding_box()
        assert 0 <= box["x"] <= box["x"] + box["width"] <= width
        assert box["y"] + box["height"] <= 800


def test_two_people_a_closed_page_and_a_killed_server(server, context_of):
    contexts = {name: context_of() for name in PEOPLE}
    pages = {name: enter(context, server, name, PEOPLE[name]) for name, context in contexts.items()}
    for page in pages.values():
        page.wait_for_selector("#judgement")
    for number in range(PAIRS):
        if number == 10:  # a page is closed in the middle of a judgement, and opened again
            page = pages["ken"]
            token = token_of(page)
            page.keyboard.press("5")
            page.fill(".comment", "途中のコメント")
            page.close()
            page = pages["ken"] = contexts["ken"].new_page()
            page.goto(server.address)
            assert token_of(page) == token
            assert page.input_value(".comment") == "途中のコメント"
            assert page.is_checked("[value=b_better]")
        if number == 20:  # an answer that is mended, and a judgement that is taken back
            page = pages["由紀"]
            token = token_of(page)
            page.keyboard.press("1")
            page.keyboard.press("w")
            page.keyboard.press("f")
            page.keyboard.type("直しました。")
            page.keyboard.press("Control+Enter")
            gone_on(page, token)
            assert judgements(server)[-1].content["edited"].strip() != ""
            assert judgements(server)[-1].content["reasons"] == ["wrong"]
            token = token_of(page)
            page.keyboard.press("u")
            gone_on(page, token)
            page.get_by_text(TEXT["ja"]["taken_back"]).wait_for()
            assert page.is_checked("[value=a_better]")
        if number == 30:  # the server dies while one judgement is on its way, and another is sent to nobody
            tokens = {name: token_of(page) for name, page in pages.items()}
            pages["ken"].keyboard.press("2")
            pages["ken"].keyboard.press("Enter")
            server.kill()
            pages["由紀"].keyboard.press("6")
            pages["由紀"].keyboard.press("Enter")
            pages["由紀"].get_by_text(TEXT["ja"]["no_answer"]).wait_for()
            server.start()
            for name, page in pages.items():
                gone_on(page, tokens[name])
            server.wait()
            for page in pages.values():
                if not page.locator("#judgement").count():  # it went on while the server was down
                    page.goto(server.address)
            continue
        for page in pages.values():
            judge(page, str(number % 6 + 1))
    for page in pages.values():
        page.get_by_text(TEXT["ja"]["finished"]).wait_for()
    made = judgements(server)
    assert len(made) == len({(one.task, one.annotator) for one in made}) == 2 * PAIRS
    assert set(Counter(one.task for one in made).values()) == {2}
    assert Counter(one.content["verdict"] for one in made)["both_bad"] > 0
