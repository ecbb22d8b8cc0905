"""One answer on its way from the model, piece by piece, which can be stopped.

`generate` runs in a thread of its own and hands its text over through transformers' TextIteratorStreamer. That waits
for a space or a kanji before it lets text out, so kana would come in lumps; here every whole character comes at once.
The tokenizers' DecodeStream would do that too, but fails on bytes that are no UTF-8, which a model may well write.
"""

import threading
from collections.abc import Iterator

import torch
from transformers import StoppingCriteria, TextIteratorStreamer

from ..errors import InputError, one_line
from .chat_model import ChatModel
from .settings import Sampling

SECONDS_BETWEEN_LOOKS = 0.1


class CharacterStreamer(TextIteratorStreamer):
    """Text of the new tokens as soon as its characters are whole; special tokens are left out.

    Attributes:
        ids: the new tokens.
        text: what they say. Where bytes were broken, it can differ from what came piece by piece.
        ended: whether nothing more will come.
    """

    def __init__(self, tokenizer):
        how = {"skip_special_tokens": True, "clean_up_tokenization_spaces": False}
        super().__init__(tokenizer, skip_prompt=True, **how)
        self.ids: list[int] = []
        self.text, self.ended = "", False

    def put(self, value: torch.Tensor) -> None:
        """Takes the prompt first, then each new token."""
        if self.next_tokens_are_prompt:
            self.next_tokens_are_prompt = False
            return
        self.ids += value.flatten().tolist()
        self.text = self.tokenizer.decode(self.ids, **self.decode_kwargs)
        if not self.text.endswith("\ufffd"):  # a character that lacks bytes is waited for
            self._let_out()

    def end(self) -> None:
        """Lets out what is left: characters that were never completed, as U+FFFD."""
        self.ended = True
        self._let_out()

    def _let_out(self) -> None:
        piece = self.text[self.print_len :]
        self.print_len = max(self.print_len, len(self.text))
        self.on_finalized_text(piece, stream_end=self.ended)


class StopOn(StoppingCriteria):
    """Ends the generation when an event is set."""

    def __init__(self, event: threading.Event):
        self.event = event

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor, **kwargs) -> torch.BoolTensor:
        return torch.full((len(input_ids),), self.event.is_set(), device=input_ids.device, dtype=torch.bool)


class Answer:
    """An answer; iterating over it gives its text as it is written. Iterate once.

    Args:
        chat_model: who answers. Another answer of the same model is waited for.
        prompt: ids of the dialogue, at most the window less the new tokens.
        sampling: how it is drawn.
        attempt: which answer to the same dialogue this is; each is drawn with another seed.

    Attributes:
        text: what has been written.
        ended: `end` (the model was done), `length` (max_new_tokens), `stopped`, or None while it is written.
    """

    def __init__(self, chat_model: ChatModel, prompt: list[int], sampling: Sampling, attempt: int = 0):
        self.text, self.ended = "", None
        self._model, self._prompt, self._sampling, self._attempt = chat_model, prompt, sampling, attempt
        self._stop, self._error = threading.Event(), None

    def stop(self) -> None:
        """Ends it after the token that is being computed; from any thread."""
        self._stop.set()

    def __iter__(self) -> Iterator[str]:
        streamer = CharacterStreamer(self._model.tokenizer)
        thread = threading.Thread(target=self._write, args=(streamer,), daemon=True)
        thread.start()
        try:
            for piece in streamer:
                if piece:
                    self.text += piece
                    yield piece
            if self._error is not None:
                self.text = ""  # what a failing model said is not kept
                raise _readable(self._error) from self._error
            self.text = streamer.text
            ended = streamer.ids and streamer.ids[-1] in self._model.end_ids
            self.ended = "end" if ended else "stopped" if self._stop.is_set() else "length"
        finally:
            # Whoever stops listening (Ctrl-C, a closed page) stops the work, too.
            self._stop.set()
            thread.join()
            self.ended = self.ended or "stopped"

    def _write(self, streamer: CharacterStreamer) -> None:
        turn = self._model.turn
        try:
            while not turn.acquire(timeout=SECONDS_BETWEEN_LOOKS):
                if self._stop.is_set():
                    return
            try:
                self._generate(streamer)
            finally:
                turn.release()
        except BaseException as error:
            self._error = error
        finally:
            if not streamer.ended:
                streamer.end()

    @torch.inference_mode()
    def _generate(self, streamer: CharacterStreamer) -> None:
        model, sampling = self._model.model, self._sampling
        cache = self._model.cache_for(self._prompt)
        ids = torch.tensor([self._prompt], device=model.device)
        how = {"do_sample": False}
        if sampling.temperature > 0:
            how = {"do_sample": True, "temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0}
        with torch.random.fork_rng(devices=[] if model.device.type == "cpu" else [model.device]):
            if sampling.seed is None:
                torch.seed()
            else:
                torch.manual_seed(sampling.seed + self._attempt)
            model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                past_key_values=cache,
                streamer=streamer,
                stopping_criteria=[StopOn(self._stop)],
                max_new_tokens=self._model.new_tokens(sampling),
                repetition_penalty=sampling.repetition_penalty,
                eos_token_id=self._model.end_ids,
                pad_token_id=self._model.end_ids[0],
                **how,
            )
        self._model.keep(cache, self._prompt + streamer.ids)


def _readable(error: BaseException) -> InputError:
    if isinstance(error, torch.OutOfMemoryError):
        return InputError("the GPU's memory does not suffice for this dialogue; try a smaller --window")
    return InputError(f"the model failed: {one_line(error)}")
