"""The web page in a real browser: what a person sees, what stays private, and that it speaks to nobody else.

It needs Playwright's Python package and a Chromium of the system; neither downloads a browser here.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
from tiny_chat_model import random_model

from nec13b.chat.interface_text import TEXT
from nec13b.chat.web_server import POLICY

pytest.importorskip("gradio", reason="gradio is not installed: pip install nec13b[chat]")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install nec13b[dev]")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("chat_page"),  # of one server
    pytest.mark.skipif(not CHROMIUM, reason="there is no chromium; install it, or set CHROMIUM"),
]
SECONDS = 300  # more than any of it takes, on a busy machine
HOSTILE = (
    "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'> [link](javascript:window.hacked=3) "
    "![picture](http://example.com/seen.png) <iframe src='http://example.com/'></iframe> **bold**"
)


@pytest.fixture(scope="module")
def address(tokenizer, tmp_path_factory):
    """The page of a tiny model with a long window, which never stops by itself."""
    folder = tmp_path_factory.mktemp("page") / "tiny-chat"
    random_model(tokenizer, max_position_embeddings=8192).save_pretrained(folder)
    tokenizer.tokenizer.save_pretrained(folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [sys.executable, "-m", "nec13b.chat", str(folder), "--web", "--port", str(port), "--max_new_tokens", "12"]
    server = subprocess.Popen([*words, "--temperature", "0"], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5)
            break
        except OSError:
            assert server.poll() is None, server.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.5)
    yield f"http://127.0.0.1:{port}"
    server.terminate()
    server.wait(SECONDS)


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def opened(browser, address):
    """Opens the page as somebody new; in the end, nothing must have been asked of another host, nor gone wrong."""
    contexts, asked, errors = [], [], []

    def open_page(locale: str = "en-US", **more):
        context = browser.new_context(locale=locale, accept_downloads=True, **more)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(SECONDS * 1000)
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(address)
        page.wait_for_selector("#say textarea")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert {url for url in asked if not url.startswith((address, "data:", "blob:"))} == set()
    assert errors == []


def ask(page, text: str) -> str:
    """Types a message, sends it, and waits for the whole answer."""
    before = page.locator("#dialogue .bot-row").count()
    page.fill("#say textarea", text)
    page.press("#say textarea", "Enter")
    page.wait_for_function("n => document.querySelectorAll('#dialogue .bot-row').length > n", arg=before)
    at_rest(page)
    return page.locator("#dialogue .bot-row").last.inner_text()


def at_rest(page) -> None:
    page.wait_for_selector("#say .submit-button")


def saved_by(page) -> list[dict]:
    with page.expect_download() as download:
        page.click("#save")
    with open(download.value.path(), encoding="utf-8") as file:
        return json.loads(file.read())["messages"]


def test_a_conversation(opened):
    page = opened()
    page.get_by_text(TEXT["en"]["empty"]).wait_for()
    first = ask(page, "はじめまして")
    ask(page, "二つ目\n次の行")
    assert page.locator("#dialogue .message-row").count() == 4
    messages = saved_by(page)
    assert [m["content"] for m in messages[::2]] == ["はじめまして", "二つ目\n次の行"]
    assert first.strip()

    page.get_by_text(TEXT["en"]["undo"], exact=True).click()
    page.wait_for_function("document.querySelectorAll('#dialogue .message-row').length == 2")
    assert page.input_value("#say textarea") == "二つ目\n次の行"
    page.get_by_text(TEXT["en"]["regenerate"], exact=True).click()
    page.wait_for_timeout(2000)  # the answer may come and be whole before anything else can be looked for
    at_rest(page)
    assert [m["content"] for m in saved_by(page)] == [m["content"] for m in messages[:2]]  # at temperature 0 the same
    page.get_by_text(TEXT["en"]["clear"], exact=True).click()
    page.wait_for_function("document.querySelectorAll('#dialogue .message-row').length == 0")


def test_settings_and_the_system_prompt_reach_the_model(opened):
    page = opened("ja-JP")
    page.get_by_text(TEXT["ja"]["empty"]).wait_for()
    page.click(".toggle-button")
    page.get_by_label(TEXT["ja"]["system"]).fill("短く答える。")
    page.get_by_label(TEXT["ja"]["seed"]).fill("seven")
    page.fill("#say textarea", "はい")
    page.press("#say textarea", "Enter")
    page.get_by_text("seed must be a whole number or none").wait_for()
    assert page.input_value("#say textarea") == "はい"  # what was written is not lost
    page.get_by_label(TEXT["ja"]["seed"]).fill("7")
    ask(page, "はい")
    assert saved_by(page)[0] == {"role": "system", "content": "短く答える。"}
    page.get_by_text("12トークンで打ち切りました").wait_for()


def test_an_answer_can_be_stopped(opened):
    page = opened()
    page.click(".toggle-button")
    page.locator("input[type=number]").last.fill("8000")
    page.locator("input[type=number]").last.blur()
    page.fill("#say textarea", "長く話して")
    page.press("#say textarea", "Enter")
    page.wait_for_selector("#say .stop-button")
    page.wait_for_function("(document.querySelector('#dialogue .bot-row')?.innerText ?? '').length > 20")
    page.click("#say .stop-button")
    at_rest(page)
    messages = saved_by(page)
    assert [m["role"] for m in messages] == ["user", "assistant"]
    assert messages[1]["content"]
    page.get_by_text(TEXT["en"]["stopped"]).wait_for()


def test_nothing_that_is_written_is_obeyed(opened, tmp_path):
    page = opened()
    ask(page, HOSTILE)
    shown = page.locator("#dialogue .user-row").last
    assert shown.inner_text().strip() == HOSTILE
    # What a model says comes to the page in the same way as what a file says that it said.
    file = tmp_path / "hostile.jsonl"
    file.write_text(json.dumps({"messages": [{"role": role, "content": HOSTILE} for role in ("user", "assistant")]}))
    page.locator("#open input, input[type=file]").first.set_input_files(file)
    page.wait_for_function("document.querySelectorAll('#dialogue .message-row').length == 2")
    page.wait_for_selector("#dialogue .bot-row strong")  # Markdown is still Markdown
    answer = page.locator("#dialogue .bot-row").last
    assert "<script>window.hacked = 1</script><img src=x onerror=" in answer.inner_text()
    for tag in ("script", "img", "iframe"):
        assert page.locator(f"#dialogue .message {tag}").count() == 0
    for link in page.locator("#dialogue .message a").all():
        assert not (link.get_attribute("href") or "").startswith("javascript:")
    page.wait_for_timeout(500)
    assert page.evaluate("window.hacked") is None


def test_a_file_of_something_else_is_refused(opened, tmp_path):
    page = opened()
    file = tmp_path / "other.jsonl"
    file.write_text('{"text": "a"}\n')
    page.locator("#open input, input[type=file]").first.set_input_files(file)
    page.get_by_text("other.jsonl, line 1: no list of messages").wait_for()


def test_two_people_share_no_history(opened):
    one, other = opened(), opened()
    ask(one, "秘密です")
    ask(other, "こんにちは")
    assert "秘密です" not in other.inner_text("#dialogue")
    assert [m["content"] for m in saved_by(other)[::2]] == ["こんにちは"]
    assert [m["content"] for m in saved_by(one)[::2]] == ["秘密です"]


@pytest.mark.parametrize("width", [360, 1200])
def test_it_fits_the_window(opened, width):
    page = opened("ja-JP", viewport={"width": width, "height": 700})
    ask(page, "とても長い語" * 40 + "x" * 300)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    for part in ("#say textarea", "#save", "#open"):
        box = page.locator(part).first.bounding_box()
        assert 0 <= box["x"]
        assert box["x"] + box["width"] <= width
        assert box["y"] + box["height"] <= 700


def test_the_browser_is_told_to_ask_nobody_else(address):
    with urllib.request.urlopen(address) as answer:
        assert answer.headers["content-security-policy"] == POLICY
        page = answer.read().decode()
    assert "googleapis" not in page
    request = urllib.request.Request(address, headers={"Host": "rebound.example"})
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(request)
