"""What a model reads, byte for byte: once written out, and for real questions composed by other means than the YAML."""

import random

import pytest

# The prompts of jp-stable as functions: written from its classes, independently of evaluation/tasks/.
ALPACA = "以下は、タスクを説明する指示と、文脈のある入力の組み合わせです。要求を適切に満たす応答を書きなさい。\n\n"
LLAMA = "<s>[INST] <<SYS>>\nあなたは役立つアシスタントです。\n<</SYS>>\n\n"
EXTRACT = "与えられた文脈から、質問に対する答えを抜き出してください。"


def lines(choices):
    return "\n".join("- " + choice for choice in choices)


def alpaca(instruction, text):
    return f"### 指示:\n{instruction}\n\n### 入力:\n{text}\n\n### 応答:\n"


def first(doc):
    return doc["answers"][0]


def gold(doc):
    return doc["choices"][doc["label"]]


FIVE = "与えられた5つの選択肢の中から、最適な答えを選んでください。出力は以下から選択してください：\n"
# By task: description, question, answer, what stands between, number of examples.
PEERS = {
    "nec13b_jsquad_0_2": (
        "質問に対する回答を文章から一言で抽出してください。回答は名詞で答えてください。\n\n",
        lambda d: "文章:" + d["context"] + "\n質問:" + d["question"] + "\n回答:", first, "\n\n", 2,
    ),
    "nec13b_jsquad_0_2_titled": (
        "質問に対する回答を題名と文章から一言で抽出してください。回答は名詞で答えてください。\n\n",
        lambda d: "題名:" + d["title"] + "\n文章:" + d["context"] + "\n質問:" + d["question"] + "\n回答:",
        first, "\n\n", 2,
    ),
    "nec13b_jsquad": (
        ALPACA, lambda d: alpaca(EXTRACT, "文脈：" + d["context"] + "\n質問：" + d["question"]), first, "\n\n", 2,
    ),
    "nec13b_jsquad_0_3_titled": (
        ALPACA,
        lambda d: alpaca(EXTRACT, "文脈：" + d["title"] + "\n" + d["context"] + "\n質問：" + d["question"]),
        first, "\n\n", 2,
    ),
    "nec13b_jsquad_0_6": (
        LLAMA, lambda d: EXTRACT + "\n\n文脈：" + d["context"] + "\n質問：" + d["question"] + " [/INST] ",
        first, " </s><s>[INST] ", 2,
    ),
    "nec13b_jsquad_0_6_titled": (
        LLAMA,
        lambda d: EXTRACT + "\n\n文脈：" + d["title"] + "\n" + d["context"] + "\n質問：" + d["question"] + " [/INST] ",
        first, " </s><s>[INST] ", 2,
    ),
    "nec13b_jcqa_0_2": (
        "質問と回答の選択肢を入力として受け取り、選択肢から回答を選択してください。"
        "なお、回答は選択肢の番号(例:0)でするものとします。 \n\n",
        lambda d: "質問:" + d["question"] + "\n選択肢:"
        + ",".join(str(i) + "." + c for i, c in enumerate(d["choices"])) + "\n回答:",
        lambda d: str(d["label"]), "\n\n", 3,
    ),
    "nec13b_jcqa_0_2_1": (
        "与えられた選択肢の中から、最適な答えを選んでください。 \n\n",
        lambda d: "質問：" + d["question"] + "\n選択肢：\n" + lines(d["choices"]) + "\n回答：", gold, "\n\n", 3,
    ),
    "nec13b_jcqa": (
        ALPACA,
        lambda d: alpaca("与えられた選択肢の中から、最適な答えを選んでください。出力は以下から選択してください：\n"
                         + lines(d["choices"]), d["question"]),
        gold, "\n\n", 3,
    ),
    "nec13b_jcqa_0_6": (
        LLAMA, lambda d: FIVE + lines(d["choices"]) + "\n\n質問：" + d["question"] + " [/INST] ",
        gold, " </s><s>[INST] ", 3,
    ),
}  # fmt: skip

JSQUAD_0_3 = """\
以下は、タスクを説明する指示と、文脈のある入力の組み合わせです。要求を適切に満たす応答を書きなさい。

### 指示:
与えられた文脈から、質問に対する答えを抜き出してください。

### 入力:
文脈：自転車の鎖は、月に一度は油をさすとよい。古い油を布でふき取ってから、輪の一つ一つに新しい油を落とし、余った油はまたふき取る。
質問：自転車の鎖にはどのくらいの間隔で油をさすとよいか。

### 応答:
月に一度

### 指示:
与えられた文脈から、質問に対する答えを抜き出してください。

### 入力:
文脈：味噌は、蒸した大豆に麹と塩を混ぜ、数か月から三年ほど寝かせて作る調味料である。麹には米、麦、豆の三種があり、東海地方では豆麹だけで作る赤黒い味噌が好まれる。
質問：味噌は何という豆から作られるか。

### 応答:
"""
JCQA_0_2_1 = """\
与えられた選択肢の中から、最適な答えを選んでください。 

質問：紙を切るときに使う道具は？
選択肢：
- はさみ
- ほうき
- ざる
- ものさし
- ちりとり
回答：はさみ

質問：雨の日に外で手に持つものは？
選択肢：
- 枕
- 傘
- 皿
- 鍵盤
- 毛布
回答："""  # noqa: W291


@pytest.mark.parametrize(("name", "expected"), [("nec13b_jsquad", JSQUAD_0_3), ("nec13b_jcqa_0_2_1", JCQA_0_2_1)])
def test_a_prompt_written_out(task_named, monkeypatch, name, expected):
    task = task_named(name)
    monkeypatch.setattr(task.sampler, "sample", lambda n, **_: task.sampler.df[:n])
    assert task.fewshot_context(doc=task.eval_docs[0], num_fewshot=1) == expected


def composed(name, doc, examples):
    description, ask, answer, between, _ = PEERS[name]
    return description + "".join(ask(e) + answer(e) + between for e in examples) + ask(doc)


@pytest.mark.parametrize("name", PEERS)
def test_prompts_are_those_of_jp_stable(task_named, name):
    task = task_named(name)
    shots = PEERS[name][-1]
    assert task.config.num_fewshot == shots
    for doc in task.eval_docs:
        task.sampler.question = doc["id"]
        expected = composed(name, doc, task.sampler.sample(shots))
        assert task.fewshot_context(doc=doc, num_fewshot=shots) == expected


@pytest.mark.parametrize("name", PEERS)
def test_first_prompts_of_the_real_questions(task_named, data, name):
    """With the examples that jp-stable drew: its shuffle and its draws, done here over again."""
    task = task_named(name, data / "jglue", examples="jp_stable")
    shots, asked, pool = PEERS[name][-1], list(task.eval_docs), list(task.fewshot_docs())
    generator, order = random.Random(42), list(range(len(asked)))
    generator.shuffle(order)
    drawn = {place: generator.sample(pool, shots) for place in order}
    for place in range(20):
        expected = composed(name, asked[place], drawn[place])
        assert task.fewshot_context(doc=asked[place], num_fewshot=shots) == expected


@pytest.mark.parametrize("name", ["nec13b_jsquad_chat", "nec13b_jcqa_chat"])
def test_in_a_chat_template_every_example_is_a_turn(task_named, tiny_checkpoint, name):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_checkpoint)
    task, shots = task_named(name), 2
    doc = task.eval_docs[0]

    def template(messages, add_generation_prompt):
        return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=add_generation_prompt)

    prompt = task.fewshot_context(
        doc=doc, num_fewshot=shots, apply_chat_template=True, fewshot_as_multiturn=True, chat_template=template
    )
    assert prompt.count("<|im_start|>user\n") == shots + 1
    assert prompt.count("<|im_start|>assistant\n") == shots + 1
    assert prompt.endswith(f"質問：{doc['question']}<|im_end|>\n<|im_start|>assistant\n")
    assert "<|im_start|>system" not in prompt
    assert "[INST]" not in prompt
