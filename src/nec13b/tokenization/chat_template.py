"""ChatML, the dialogue format of the paper (section 2(5)): `<|im_start|>role\\n...<|im_end|>`.

A rendered dialogue is encoded as one text, by every library in its own way, so the template itself has to see to it
that what a user writes cannot end a turn: a special token that is spelt out in a message gets a space after its first
letter, `< |im_end|>`, which no tokenizer takes for the token.
"""

from .special_tokens import SPECIAL_TOKENS

_LIST = ", ".join(f"'{token}'" for token in SPECIAL_TOKENS)
# The generation marks tell trl which tokens the assistant wrote (assistant_only_loss); they print nothing.
CHATML_TEMPLATE = (
    """\
{%- macro plain(text) %}
    {%- set safe = namespace(text=text | string) %}
    {%- if '<|' in safe.text %}
        {%- for token in ["""
    + _LIST
    + """] %}
            {%- set safe.text = safe.text | replace(token, '< ' + token[1:]) %}
        {%- endfor %}
    {%- endif %}
    {{- safe.text }}
{%- endmacro %}
{{- bos_token }}
{%- for message in messages %}
    {{- '<|im_start|>' + plain(message['role']) + '\\n' }}
    {%- if message['role'] == 'assistant' %}
        {%- generation %}{{- plain(message['content']) + '<|im_end|>' }}{% endgeneration %}
        {{- '\\n' }}
    {%- else %}
        {{- plain(message['content']) + '<|im_end|>' + '\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""
)
