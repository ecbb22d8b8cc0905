"""The special tokens: begin, end and padding, ChatML's pair, and some in reserve.

All are written <|...|>, as no ordinary text is; `<s>`, which LLaMA takes, is HTML's sign for text that is struck out.
"""

PAD, BOS, EOS = "<|pad|>", "<|begin_of_text|>", "<|end_of_text|>"
IM_START, IM_END = "<|im_start|>", "<|im_end|>"
# Their ids are their places here; the reserved ones keep later additions from changing the size of the embedding.
SPECIAL_TOKENS = [PAD, BOS, EOS, IM_START, IM_END, *(f"<|reserved_{i}|>" for i in range(11))]


def special_tokens_in(text: str) -> list[str]:
    """The special tokens that are spelt out in a text."""
    return [token for token in SPECIAL_TOKENS if token in text] if "<|" in text else []
