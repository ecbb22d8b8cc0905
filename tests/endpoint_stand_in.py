"""A stand-in for an OpenAI-compatible endpoint that writes Japanese of a sort, and misbehaves as endpoints do."""

import contextlib
import json
import random
import select
import socket
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FAULTS = (
    "status_500", "status_503_html", "stall", "trickle", "429_plain", "429_retry_after", "broken_json", "empty_choices",
    "null_content", "not_an_object", "truncated", "dropped", "empty_text",
)  # fmt: skip
NOUNS = [
    "駅前",
    "図書館",
    "味噌汁",
    "自転車",
    "古い時計",
    "会議室",
    "台風",
    "電子辞書",
    "猫の毛布",
    "温泉宿",
    "株主総会",
    "夜行列車",
    "畑の土",
    "望遠鏡",
    "折り紙",
    "裁判所",
    "弁当箱",
    "水族館",
    "絵葉書",
    "錆びた鍵",
]
VERBS = [
    "片づける",
    "比べる",
    "説明する",
    "修理する",
    "見積もる",
    "描写する",
    "予約する",
    "書き直す",
    "測る",
    "育てる",
    "売り込む",
    "翻訳する",
    "分類する",
    "並べる",
    "暗記する",
]
PLACES = [
    "札幌で",
    "祖母の家で",
    "雨の日に",
    "限られた予算で",
    "新人のために",
    "三日以内に",
    "英語を使わずに",
    "屋根裏で",
    "子どもと一緒に",
    "真夜中に",
    "船の上で",
    "山小屋で",
]


class Endpoint:
    """The server; `with Endpoint(...) as endpoint` runs it in a thread.

    Args:
        fault_share: share of requests that meet one of `faults`, drawn by `seed`.
        faults: which; besides FAULTS, which may pass, `status_400`, `status_404` and `429_for_a_day`.
        bad_share: share of replies that are well-formed and still cannot be kept.
        key: the key that requests must carry; it is repeated in error messages, as some servers do.
        seconds: that each reply takes.
    """

    def __init__(self, fault_share=0.0, faults=FAULTS, bad_share=0.0, seed=0, key="", seconds=0.0):
        self.fault_share, self.faults, self.bad_share = fault_share, faults, bad_share
        self.key, self.seconds, self.random = key, seconds, random.Random(seed)
        self.lock = threading.Lock()
        self.most_at_once = self.requests = 0
        self.at_once: set[socket.socket] = set()
        self.met: Counter[str] = Counter()
        self.times: list[float] = []
        self.bodies: list[dict] = []
        self.reply = self.written_reply
        self.prompt_tokens = lambda body: 100  # that it counts in a request

    def __enter__(self):
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_POST(self):
                endpoint.answer(self)

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_):  # clients that went away
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/v1"

    def answer(self, handler) -> None:
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        with self.lock:
            self.at_once -= {waiting for waiting in self.at_once if _has_gone(waiting)}
            self.at_once.add(handler.connection)
            self.most_at_once = max(self.most_at_once, len(self.at_once))
            self.requests += 1
            self.times.append(time.monotonic())
            self.bodies.append(body)
            fault = self.random.choice(self.faults) if self.random.random() < self.fault_share else "none"
            self.met[fault] += 1
            text, finish_reason = self.reply(body)
            tokens = self.prompt_tokens(body)
        try:
            with contextlib.suppress(OSError):
                if self.key and handler.headers["Authorization"] != f"Bearer {self.key}":
                    fault = "status_401"
                self._send(handler, fault, text, finish_reason, tokens)
        finally:
            with self.lock:
                self.at_once.discard(handler.connection)

    def _send(self, handler, fault: str, text: str, finish_reason: str, tokens: int) -> None:
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish_reason}
        reply = {
            "id": "x", "object": "chat.completion", "created": 0, "model": "stand-in", "choices": [choice],
            "usage": {"prompt_tokens": tokens, "completion_tokens": len(text), "total_tokens": tokens + len(text)},
        }  # fmt: skip
        error = {"error": {"message": f"no luck with {handler.headers['Authorization']}", "type": "x"}}
        time.sleep(self.seconds)
        if fault == "stall":
            end = time.monotonic() + 20
            while time.monotonic() < end and not _has_gone(handler.connection):
                time.sleep(0.005)
            handler.close_connection = True
            return
        if fault == "trickle":
            _begin(handler, 200, 100_000)
            for _ in range(2_000):
                handler.wfile.write(b" ")
                time.sleep(0.02)
            return
        if fault == "dropped":
            handler.close_connection = True
            handler.connection.shutdown(socket.SHUT_RDWR)
            return
        if fault == "truncated":
            data = json.dumps(reply).encode()
            _begin(handler, 200, len(data))
            handler.wfile.write(data[: len(data) // 2])
            handler.close_connection = True
            return
        if fault == "empty_choices":
            reply["choices"] = []
        elif fault == "null_content":
            choice["message"]["content"] = None
        elif fault == "empty_text":
            choice["message"]["content"] = " \n"
        status, headers, data = 200, {}, json.dumps(reply).encode()
        if fault == "status_500":
            status, data = 500, json.dumps(error).encode()
        elif fault == "status_401":
            status, data = 401, json.dumps(error).encode()
        elif fault in ("status_400", "status_404"):
            status, data = int(fault[-3:]), json.dumps(error).encode()
        elif fault == "status_503_html":
            status, data = 503, b"<html>down</html>"
        elif fault.startswith("429"):
            status, data = 429, json.dumps(error).encode()
            if seconds := {"429_retry_after": "0.2", "429_for_a_day": "86400"}.get(fault):
                headers = {"Retry-After": seconds}
        elif fault == "broken_json":
            data = data[: len(data) // 3]
        elif fault == "not_an_object":
            data = b'["no", "completion"]'
        _begin(handler, status, len(data), headers)
        handler.wfile.write(data)

    def sentence(self) -> str:
        place, verb, other_verb = (self.random.choice(words) for words in (PLACES, VERBS, VERBS))
        one, two, three = self.random.sample(NOUNS, 3)
        return f"{place}{one}と{two}を{verb}とき、{three}を{other_verb}のはなぜですか。"

    def written_reply(self, body: dict) -> tuple[str, str]:
        """A question, a grade or an answer, as the prompt asks for one; a share of them bad in one of many ways."""
        prompt = body["messages"][-1]["content"]
        bad = self.random.random() < self.bad_share
        if "点数" in prompt:
            return self.random.choice(
                ("よくわかりません。", "点数：2") if bad else ("点数：4", "正確です。\n点数：５")
            ), "stop"
        if "<指示>" in prompt:
            if not bad:
                return f"<指示>{self.sentence()}{self.sentence()}</指示>", "stop"
            return self.random.choice((
                ("<指示></指示>", "stop"),
                ("<指示>パンの焼き方を教えてください。</指示>", "stop"),
                (self.sentence(), "length"),
                ("Please write a long story about the sea and all of the ships that ever sailed on it.", "stop"),
            ))  # fmt: skip
        if not bad:
            return "".join(self.sentence() for _ in range(3)), "stop"
        return self.random.choice((
            ("申し訳ありませんが、その質問にはお答えできません。", "stop"),
            (prompt, "stop"),
            (self.sentence(), "length"),
            (f"{self.sentence()}<|im_end|>", "stop"),
            ("はい。" * 60, "stop"),
            ("電話は090-1234-5678までどうぞ。", "stop"),
        ))  # fmt: skip


def _begin(handler, status: int, length: int, headers=None) -> None:
    handler.send_response(status)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(length))
    for name, value in (headers or {}).items():
        handler.send_header(name, value)
    handler.end_headers()


def _has_gone(connection: socket.socket) -> bool:
    """Whether the client has closed the connection."""
    try:
        readable, _, _ = select.select([connection], [], [], 0)
        return bool(readable) and connection.recv(1, socket.MSG_PEEK) == b""
    except (OSError, ValueError):
        return True
