"""ChatML, the dialogue format of the paper (section 4): `<|im_start|>role\\n...<|im_end|>`.

A rendered dialogue is encoded as one text, by every library in its own way, so the template itself has to see to it
that what a user writes cannot end a turn: a special token that is spelt out in a message gets a space after its first
letter, `< |im_end|>`, which no tokenizer takes for the token.

Tools are told and called as in the Hermes format, which servers such as vLLM parse: JSON between `<tools>` in the
system message, between `<tool_call>` in an answer; what a tool gave comes back as a message of the role `tool`.
"""

from collections.abc import Iterable

from .special_tokens import SPECIAL_TOKENS

TOOLS_HEAD = "# Tools\n\nThese functions may be called:\n<tools>\n"
TOOLS_TAIL = (
    '</tools>\n\nTo call one, write\n<tool_call>\n{"name": <its name>, "arguments": <a JSON object>}\n</tool_call>'
)
# The generation marks tell trl which tokens the assistant wrote (assistant_only_loss); they print nothing.
_TEMPLATE = """\
{%- macro plain(text) %}
    {%- set safe = namespace(text=text | string) %}
    {%- for token in [TOKENS] %}
        {%- set safe.text = safe.text | replace(token, token[0] + ' ' + token[1:]) %}
    {%- endfor %}
    {{- safe.text }}
{%- endmacro %}
{%- macro said(message) %}
    {%- if message['content'] is string %}
        {{- plain(message['content']) }}
    {%- else %}
        {%- for part in message['content'] or [] %}
            {{- plain(part['text']) }}
        {%- endfor %}
    {%- endif %}
    {%- for call in message['tool_calls'] or [] %}
        {%- set call = call['function'] or call %}
        {{- ('\\n' if message['content'] or not loop.first else '') + '<tool_call>\\n{"name": ' }}
        {{- plain(call['name'] | tojson) + ', "arguments": ' }}
        {{- plain(call['arguments'] if call['arguments'] is string else call['arguments'] | tojson) }}
        {{- '}\\n</tool_call>' }}
    {%- endfor %}
{%- endmacro %}
BEGIN
{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages and messages[0]['role'] == 'system' %}
        {{- plain(messages[0]['content']) + '\\n\\n' }}
    {%- endif %}
    {{- HEAD }}
    {%- for tool in tools %}
        {{- plain(tool | tojson) + '\\n' }}
    {%- endfor %}
    {{- TAIL + '<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if not (tools and loop.first and message['role'] == 'system') %}
        {{- '<|im_start|>' + plain(message['role']) + '\\n' }}
        {%- if message['role'] == 'assistant' %}
            {%- generation %}{{- said(message) + '<|im_end|>' }}{% endgeneration %}
            {{- '\\n' }}
        {%- else %}
            {{- said(message) + '<|im_end|>' + '\\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""


def chatml_template(special_tokens: Iterable[str], begin: bool = True) -> str:
    """The ChatML template for a tokenizer.

    Args:
        special_tokens: those that a message must not be able to spell.
        begin: whether a dialogue begins with the tokenizer's `bos_token`.
    """
    values = {
        "TOKENS": ", ".join(_literal(token) for token in special_tokens),
        "BEGIN": "{{- bos_token }}" if begin else "",
        "HEAD": _literal(TOOLS_HEAD),
        "TAIL": _literal(TOOLS_TAIL),
    }
    lines = []
    for line in _TEMPLATE.splitlines():
        for name, value in values.items():
            line = line.replace(name, value)
        if line.strip():
            lines.append(line)
    return "\n".join(lines) + "\n"


def _literal(text: str) -> str:
    """A text as Jinja writes a string."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"


CHATML_TEMPLATE = chatml_template(SPECIAL_TOKENS)
