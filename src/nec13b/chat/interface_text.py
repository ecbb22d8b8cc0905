"""What the chat says to people, in English and Japanese; the terminal and the web page take their words from here."""

import locale
import os

TEXT = {
    "en": {
        # what happened
        "history_left_out": "The dialogue has grown over the window of {window:,} tokens: the model no longer sees the "
        "oldest {exchanges} exchange(s).",
        "answer_too_long": "The answer was cut at {max_new_tokens:,} tokens (max_new_tokens).",
        "stopped": "Stopped.",
        "stopped_before_the_first_word": "Stopped before the first word; the question was taken back.",
        "empty_answer": "The model ended without saying anything; the question was taken back.",
        # terminal
        "welcome": "{name}, window of {window:,} tokens, {device}. /help lists the commands.",
        "you": "You",
        "hint_quit": "/quit or Ctrl-D ends the chat.",
        "system_is": "System prompt: {system}",
        "no_system": "There is no system prompt.",
        "undone": "Taken back: {question}",
        "nothing_to_undo": "There is nothing to take back.",
        "cleared": "A new dialogue.",
        "saved": "Saved to {path}, which holds {count} dialogue(s).",
        "loaded": "Loaded: {exchanges} exchange(s).",
        "help_system": "show the system prompt, set it, or remove it (/system none)",
        "help_regenerate": "another answer to the last question",
        "help_undo": "take back the last question and its answer",
        "help_clear": "begin a new dialogue",
        "help_history": "show the dialogue",
        "help_save": "add the dialogue to a JSONL file",
        "help_load": "go on from the last dialogue of a file, or from the N-th",
        "help_settings": "show the settings, or change one: /settings temperature 0.2",
        "help_help": "this list",
        "help_quit": "end the chat",
        "help_multiline": "Several lines: Alt+Enter between them, or \"\"\" alone on the line before and after them. "
        "Ctrl-C stops an answer. A message that begins with a slash is written with two.",
        # page
        "subtitle": "Answers may be wrong.",
        "placeholder": "Write a message",
        "empty": "What would you like to talk about?",
        "send": "Send",
        "regenerate": "Answer again",
        "undo": "Take back",
        "clear": "New dialogue",
        "save": "Save",
        "open": "Open",
        "settings": "Settings",
        "system": "System prompt",
        "system_info": "What the model is told before the dialogue",
        "temperature": "Temperature",
        "temperature_info": "0 always takes the likeliest word",
        "top_p": "Top-p",
        "top_p_info": "The likeliest words, up to this probability",
        "repetition_penalty": "Repetition penalty",
        "repetition_penalty_info": "Above 1: fewer repetitions",
        "max_new_tokens": "Longest answer",
        "max_new_tokens_info": "In tokens",
        "seed": "Seed",
        "seed_info": "Empty: each answer another",
    },
    "ja": {
        "history_left_out": "対話が上限の{window:,}トークンを超えました。"
        "古いほうから{exchanges}往復は、もうモデルに渡されません。",
        "answer_too_long": "回答を{max_new_tokens:,}トークンで打ち切りました（max_new_tokens）。",
        "stopped": "停止しました。",
        "stopped_before_the_first_word": "回答が始まる前に停止しました。質問は取り消されました。",
        "empty_answer": "モデルは何も答えませんでした。質問は取り消されました。",
        "welcome": "{name}、上限{window:,}トークン、{device}。/help でコマンドの一覧を表示します。",
        "you": "あなた",
        "hint_quit": "終了するには /quit または Ctrl-D を入力してください。",
        "system_is": "システムプロンプト：{system}",
        "no_system": "システムプロンプトはありません。",
        "undone": "取り消しました：{question}",
        "nothing_to_undo": "取り消すものがありません。",
        "cleared": "新しい対話を始めます。",
        "saved": "{path} に保存しました（全{count}対話）。",
        "loaded": "{exchanges}往復の対話を読み込みました。",
        "help_system": "システムプロンプトの表示、設定、削除（/system none）",
        "help_regenerate": "最後の質問に答え直す",
        "help_undo": "最後の質問と回答を取り消す",
        "help_clear": "新しい対話を始める",
        "help_history": "対話を表示する",
        "help_save": "対話をJSONLファイルに加える",
        "help_load": "ファイルの最後の対話、またはN番目の対話から続ける",
        "help_settings": "設定の表示と変更（例：/settings temperature 0.2）",
        "help_help": "この一覧",
        "help_quit": "終了する",
        "help_multiline": "複数行：Alt+Enter で改行するか、\"\"\" だけの行で前後を囲みます。Ctrl-C は回答を止めます。"
        "スラッシュで始まる文は、スラッシュを二つ重ねて書きます。",
        "subtitle": "回答には誤りが含まれることがあります。",
        "placeholder": "メッセージを入力",
        "empty": "何についてお話ししましょうか。",
        "send": "送信",
        "regenerate": "答え直す",
        "undo": "取り消す",
        "clear": "新しい対話",
        "save": "保存",
        "open": "開く",
        "settings": "設定",
        "system": "システムプロンプト",
        "system_info": "対話の前にモデルへ伝える指示",
        "temperature": "温度",
        "temperature_info": "0 なら常に最も確率の高い語を選ぶ",
        "top_p": "Top-p",
        "top_p_info": "確率の高い語から、合計がこの値になるまで",
        "repetition_penalty": "繰り返しの抑制",
        "repetition_penalty_info": "1 より大きいと繰り返しが減る",
        "max_new_tokens": "回答の長さの上限",
        "max_new_tokens_info": "トークン数",
        "seed": "シード",
        "seed_info": "空欄なら毎回異なる回答",
    },
}  # fmt: skip


def say(language: str, kind: str, **values) -> str:
    """A text in a language."""
    return TEXT[language][kind].format(**values)


def language_of(tags: str) -> str:
    """`ja` or `en`, whichever comes first in an Accept-Language header or a locale's name; else `en`."""
    for tag in tags.replace("_", "-").split(","):
        name = tag.split(";")[0].split("-")[0].strip().lower()
        if name in TEXT:
            return name
    return "en"


def language_of_terminal() -> str:
    """The language of this process' locale."""
    named = (os.environ.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    return language_of(next(filter(None, named), "") or locale.getlocale()[0] or "")
