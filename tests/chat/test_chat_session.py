"""A conversation stays a dialogue, whatever is asked, stopped, taken back or loaded."""

import json

import pytest
from tiny_chat_model import WINDOW, chat_model, random_model  # noqa: F401

from nec13b.chat.chat_model import ChatModel
from nec13b.chat.dialogue_file import add_to_file, dialogues_of_file
from nec13b.chat.session import ChatSession
from nec13b.chat.settings import Sampling
from nec13b.dialogues.dialogue import Dialogue
from nec13b.errors import InputError

SHORT = Sampling(temperature=0, max_new_tokens=8)


@pytest.fixture
def session(chat_model) -> ChatSession:  # noqa: F811
    return ChatSession(chat_model, SHORT)


def roles(session) -> list[str]:
    return [message["role"] for message in session.messages]


def test_questions_and_answers_are_kept_in_turn(session):
    answers = ["".join(session.ask(text)) for text in ("一つ目", "二つ目")]
    assert [m["content"] for m in session.messages] == ["一つ目", answers[0], "二つ目", answers[1]]
    assert roles(session) == ["user", "assistant"] * 2
    assert [notice.kind for notice in session.notices] == ["answer_too_long"] * 2


def test_the_system_prompt_is_told_and_saved_but_is_no_message(session, monkeypatch):
    asked = []
    real = session.chat_model.prompt_ids
    monkeypatch.setattr(session.chat_model, "prompt_ids", lambda messages: asked.append(messages) or real(messages))
    session.system = "短く答える。"
    "".join(session.ask("はい"))
    assert asked[-1][0] == {"role": "system", "content": "短く答える。"}
    assert roles(session) == ["user", "assistant"]
    assert [m["role"] for m in session.dialogue().messages] == ["system", "user", "assistant"]


def test_answering_again_takes_the_place_of_the_last_answer(chat_model):  # noqa: F811
    session = ChatSession(chat_model, Sampling(temperature=1.0, max_new_tokens=8, seed=1))
    first = "".join(session.ask("何か言って"))
    second = "".join(session.regenerate())
    assert first != second
    assert [m["content"] for m in session.messages] == ["何か言って", second]


def test_taking_back(session):
    "".join(session.ask("一つ目"))
    kept = session.messages
    "".join(session.ask("二つ目"))
    assert session.undo() == "二つ目"
    assert session.messages == kept
    assert session.undo() == "一つ目"
    assert session.undo() is None


def test_a_stopped_answer_is_kept_as_far_as_it_goes(session):
    session.sampling = Sampling(temperature=0, max_new_tokens=200)
    pieces = session.ask("長く話して")
    first = next(pieces)
    session.stop()
    text = first + "".join(pieces)
    assert session.messages[-1] == {"role": "assistant", "content": text}
    assert [notice.kind for notice in session.notices] == ["stopped"]


def test_stopped_before_the_first_word_nothing_is_kept(session):
    "".join(session.ask("一つ目"))
    kept = session.messages
    pieces = session.ask("二つ目")
    with session.chat_model.turn:  # somebody else's answer is being written
        import threading

        threading.Timer(0.2, session.stop).start()
        assert "".join(pieces) == ""
    assert session.messages == kept
    assert session.notices[-1].kind == "stopped_before_the_first_word"


def test_who_leaves_a_dialogue_leaves_its_answer(session, tmp_path):
    "".join(session.ask("一つ目"))
    saved = session.dialogue()
    session.sampling = Sampling(temperature=0, max_new_tokens=150)
    for leave, left in ((session.undo, []), (session.clear, []), (lambda: session.load(saved), saved.messages)):
        session.load(saved)
        session.notices.clear()
        pieces = session.ask("二つ目")
        next(pieces)
        leave()
        list(pieces)
        assert session.messages == left
        assert session.notices == []


def test_one_answer_at_a_time(session):
    pieces = session.ask("一つ目")
    first = next(pieces)
    with pytest.raises(InputError, match="still being written"):
        list(session.ask("二つ目"))
    text = first + "".join(pieces)
    assert [m["content"] for m in session.messages] == ["一つ目", text]


def test_an_empty_answer_takes_the_question_back(tokenizer):
    session = ChatSession(ChatModel(random_model(tokenizer, ends_at_once=True), tokenizer.tokenizer, "tiny"), SHORT)
    assert "".join(session.ask("何か")) == ""
    assert session.messages == []
    assert [notice.kind for notice in session.notices] == ["empty_answer"]


def test_a_failure_leaves_the_dialogue_as_it_was(session, monkeypatch):
    "".join(session.ask("一つ目"))
    kept = session.messages

    def fails(*_, **__):
        raise RuntimeError("broken")

    monkeypatch.setattr(session.chat_model.model, "generate", fails)
    for again in (lambda: session.ask("二つ目"), session.regenerate):
        with pytest.raises(InputError, match="broken"):
            "".join(again())
        assert session.messages == kept


def test_a_long_dialogue_loses_whole_exchanges_and_says_so_once(session):
    for i in range(12):
        "".join(session.ask(f"質問{i}：" + "あいうえお" * 3))
    assert roles(session) == ["user", "assistant"] * 12  # nothing is lost from what is shown and saved
    told = [notice for notice in session.notices if notice.kind == "history_left_out"]
    assert len(told) == 1
    assert told[0].values == {"exchanges": 1, "window": WINDOW}


def test_mistakes_say_what_to_do(session):
    for question in ("", "  \n"):
        with pytest.raises(InputError, match="says nothing"):
            session.ask(question)
    with pytest.raises(InputError, match="no answer yet"):
        session.regenerate()
    with pytest.raises(InputError, match="nothing to save"):
        session.dialogue()
    with pytest.raises(InputError, match=r"shorten the text, or lower max_new_tokens"):
        session.ask("あ" * 4000)
    session.sampling = Sampling(max_new_tokens=WINDOW)
    with pytest.raises(InputError, match="leaves nothing of the window"):
        session.ask("はい")
    assert session.messages == []


def test_sessions_of_one_model_share_nothing(chat_model):  # noqa: F811
    one, other = ChatSession(chat_model, SHORT), ChatSession(chat_model, SHORT)
    "".join(one.ask("秘密です"))
    assert other.messages == []
    assert one.id != other.id
    alone = "".join(ChatSession(chat_model, SHORT).ask("こんにちは"))
    assert "".join(other.ask("こんにちは")) == alone


def test_saved_and_loaded_a_dialogue_goes_on(session, tmp_path):
    path = tmp_path / "new" / "dialogues.jsonl"
    session.system = "短く。"
    "".join(session.ask("一つ目"))
    assert add_to_file(path, session.dialogue()) == 1
    "".join(session.ask("二つ目"))
    assert add_to_file(path, session.dialogue()) == 1  # the same dialogue, grown
    row = json.loads(path.read_text(encoding="utf-8"))
    assert row["provenance"]["model"] == "tiny"
    assert row["messages"] == session.dialogue().messages

    other = ChatSession(session.chat_model, SHORT)
    other.load(dialogues_of_file(path)[0])
    assert (other.system, other.messages, other.id) == ("短く。", session.messages, session.id)
    other.clear()
    "".join(other.ask("別の話"))
    assert add_to_file(path, other.dialogue()) == 2
    assert [path.name for path in path.parent.iterdir()] == ["dialogues.jsonl"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: not JSON"),
        ('{"text": "a"}', "line 2: no list of messages"),
        ('{"messages": [{"role": "user"}]}', "message 1 has no role and content"),
        ('{"messages": [{"role": "assistant", "content": "a"}]}', "message 1 is of 'assistant'"),
        (
            '{"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]}',
            "message 2 is of 'user'",
        ),
        ('{"messages": [{"role": "user", "content": "a"}, {"role": "system", "content": "b"}]}', "must take turns"),
    ],
)
def test_a_file_of_something_else_is_refused_and_never_overwritten(tmp_path, line, message):
    path = tmp_path / "other.jsonl"
    good = json.dumps({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]})
    path.write_text(f"{good}\n{line}\n")
    for call in (
        lambda: dialogues_of_file(path),
        lambda: add_to_file(path, Dialogue([{"role": "user", "content": "a"}])),
    ):
        with pytest.raises(InputError, match=message):
            call()
    assert path.read_text() == f"{good}\n{line}\n"


def test_a_last_question_without_answer_is_left_out(tmp_path):
    path = tmp_path / "open.jsonl"
    messages = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
    ]
    path.write_text(json.dumps({"messages": messages}))
    assert dialogues_of_file(path)[0].messages == messages[:2]
    with pytest.raises(InputError, match="cannot read"):
        dialogues_of_file(tmp_path / "missing.jsonl")
