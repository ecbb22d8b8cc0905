"""Dialogues as tokens: the tokenizer made ready for ChatML, and how much of a dialogue fits in a window.

Rendering and the mask of what the assistant wrote both come from the chat template (tokenization/chat_template.py), so
training, evaluation and every chat tool see the same tokens.
"""

from transformers import PreTrainedModel, PreTrainedTokenizerBase
from trl.chat_template_utils import has_generation_markers

from ..dialogues.dialogue import Message
from ..errors import InputError, one_line
from ..tokenization.chat_template import chatml_template
from ..tokenization.special_tokens import IM_END, IM_START

IGNORED = -100


def use_chatml(tokenizer: PreTrainedTokenizerBase, add_tokens: bool = False) -> list[str]:
    """Gives a tokenizer the ChatML template, unless it has one of its own that marks what the assistant wrote.

    Args:
        tokenizer: changed in place.
        add_tokens: add `<|im_start|>` and `<|im_end|>` where the vocabulary lacks them.

    Returns:
        The tokens that were added; their embeddings are still to be made.

    Raises:
        InputError: the vocabulary lacks them and they are not to be added.
    """
    missing = [token for token in (IM_START, IM_END) if token not in tokenizer.get_vocab()]
    if missing and not add_tokens:
        raise InputError(
            f"the tokenizer has no {' and no '.join(missing)}, which ChatML needs; --add_chat_tokens true adds them to "
            "it and to the model"
        )
    if missing:
        tokenizer.add_special_tokens({"extra_special_tokens": missing}, replace_extra_special_tokens=False)
    if not tokenizer.chat_template or not has_generation_markers(tokenizer.chat_template):
        # Some tokenizers take <|im_start|> itself as their begin token; it must not stand twice.
        begins = tokenizer.bos_token is not None and tokenizer.bos_token not in (IM_START, IM_END)
        tokenizer.chat_template = chatml_template(dict.fromkeys(tokenizer.all_special_tokens), begins)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return missing


def make_embeddings(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, added: list[str]) -> list[int]:
    """Rows for tokens that were added to a tokenizer, where the model has none left over; each begins as the mean.

    Returns:
        The ids of the added tokens.
    """
    ids = tokenizer.convert_tokens_to_ids(added)
    if ids and max(ids) >= model.get_input_embeddings().weight.shape[0]:
        model.resize_token_embeddings(max(ids) + 1, pad_to_multiple_of=64)
    return ids


def stop_at_end_of_turn(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Has generation stop at `<|im_end|>`, and still at whatever ended it before."""
    before = model.generation_config.eos_token_id
    before = [before] if isinstance(before, int) else before or []
    model.generation_config.eos_token_id = list(dict.fromkeys([tokenizer.convert_tokens_to_ids(IM_END), *before]))
    model.generation_config.pad_token_id = tokenizer.pad_token_id


def encoded_dialogue(
    tokenizer: PreTrainedTokenizerBase, messages: list[Message], tools: list | None = None
) -> tuple[list[int], list[int]]:
    """(ids, labels) of a dialogue; a label is -100 unless the assistant wrote the token, `<|im_end|>` included.

    Raises:
        InputError: the template cannot render the messages.
    """
    try:
        encoded = tokenizer.apply_chat_template(
            messages, tools=tools, tokenize=True, return_dict=True, return_assistant_tokens_mask=True
        )
    except Exception as error:  # templates raise whatever they like
        raise InputError(f"the chat template cannot render the dialogue: {one_line(error)}") from None
    ids, mask = list(encoded["input_ids"]), encoded["assistant_masks"]
    return ids, [token if written else IGNORED for token, written in zip(ids, mask)]


def exchanges_that_fit(
    tokenizer: PreTrainedTokenizerBase, messages: list[Message], max_length: int
) -> list[Message] | None:
    """The dialogue, without its last exchanges where it is too long: it still ends with an answer.

    Returns:
        The messages; None where not even the first exchange fits.
    """
    while messages:
        if len(encoded_dialogue(tokenizer, messages)[0]) <= max_length:
            return messages
        messages = messages[:-1]
        while messages and messages[-1]["role"] != "assistant":
            messages = messages[:-1]
    return None
