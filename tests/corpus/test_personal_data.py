"""Personal data is masked in all the ways people write it; dates, prices, versions and ISBNs are left alone."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nec13b.corpus.personal_data import MARKS, find_personal_data, mask_personal_data

TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=200)
DENSE = st.text(alphabet="0123456789-－ー()（）〒@.＋+ :電話東京都a\n", max_size=60)


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("電話は03-1234-5678です", "phone"), ("TEL:0312345678", "phone"), ("090-1234-5678", "phone"),
        ("09012345678まで", "phone"), ("(03)1234-5678", "phone"), ("03(1234)5678", "phone"),
        ("+81-3-1234-5678", "phone"), ("＋81 90 1234 5678", "phone"), ("03−1234−5678", "phone"),
        ("0120-123-456", "phone"), ("(212) 555-0123", "phone"),
        ("電話番号 03-1234-5678、FAX 03-1234-5679", "phone phone"),
        ("〒100-0001 東京都", "postal_code"), ("〒1000001", "postal_code"),
        ("100-0001 東京都千代田区", "postal_code"), ("100-0001\n大阪府", "postal_code"),
        ("4111 1111 1111 1111", "card_number"), ("4111-1111-1111-1111", "card_number"),
        ("378282246310005", "card_number"),
        ("taro.yamada+x@nec13b.co.jp", "mail"), ("taro＠nec13b.jp へ", "mail"), ("<a_b@c-d.museum>", "mail"),
    ],
)  # fmt: skip
def test_what_is_masked(text, kinds):
    masked, counts = mask_personal_data(text)
    assert " ".join(kind for _, _, kind in find_personal_data(text)) == kinds
    assert sum(counts.values()) == len(kinds.split())
    assert all(MARKS[kind] in masked for kind in kinds.split())
    assert find_personal_data(masked) == []


@pytest.mark.parametrize(
    "text",
    [
        "2023-11-24", "ISBN978-4-00-123456-7", "100-0001円", "価格は1200-1500円", "192.168.0.1", "3.14159265358979",
        "2001-2010-2020", "平成3-4-5", "RFC 1234-5678", "第090-12345678号", "1234567890123456", "a@b", "@name",
        "foo@example.com", "user@mail.example.co.jp", "0.1234567890", "1-2-3 4-5-6", "12:34:56", "0x0123456789",
        "4111 1111 1111 1112", "特許第1234567号", "1,234,567,890",
    ],
)  # fmt: skip
def test_what_is_left_alone(text):
    assert mask_personal_data(text) == (text, {})


@given(st.one_of(TEXT, DENSE))
def test_masking_takes_every_text_and_leaves_the_rest_of_it(text):
    found = find_personal_data(text)
    assert all(0 <= start < end <= len(text) for start, end, _ in found)
    masked, counts = mask_personal_data(text)
    rest, start = [], 0
    for first, last, _ in found:
        rest.append(text[start:first])
        start = last
    rest.append(text[start:])
    assert sum(counts.values()) == len(found)
    for mark in MARKS.values():
        masked = masked.replace(mark, "\0")
    for mark in MARKS.values():
        rest = [part.replace(mark, "\0") for part in rest]
    assert masked == "\0".join(rest)


@given(st.integers(0, 2**32))
def test_any_phone_number_with_its_separators_is_found(seed):
    rng = random.Random(seed)
    area = rng.choice(["03", "06", "045", "011", "0742", "04992", "090", "080", "070", "050", "0120"])
    length = 11 if area in ("090", "080", "070", "050") else 10
    rest = "".join(rng.choice("0123456789") for _ in range(length - len(area)))
    dash = rng.choice("-－‐−ー")
    number = f"{area}{dash}{rest[:-4]}{dash}{rest[-4:]}"
    text = rng.choice(["電話は", "TEL ", "連絡先：", "お電話（"]) + number + rng.choice(["です", "。", "）", "\n"])
    (start, end, kind) = find_personal_data(text)[0]
    assert (text[start:end], kind) == (number, "phone")
