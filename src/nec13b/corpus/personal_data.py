"""Personal data in running text, replaced by a mark that says what stood there: mail, phone, postal code, card number.

The patterns prefer to miss a number than to eat a date, a price or an ISBN: a Japanese phone number needs its
separators or a word such as 電話 before it, a postal code needs its 〒 or a prefecture behind it, a card number must
satisfy the Luhn check and begin with 3, 4, 5 or 6, as those of the card companies do.
"""

import re
from collections import Counter

PREFECTURES = (
    "北海道|青森県|岩手県|宮城県|秋田県|山形県|福島県|茨城県|栃木県|群馬県|埼玉県|千葉県|東京都|神奈川県|新潟県|富山県|石川県|福井県"
    "|山梨県|長野県|岐阜県|静岡県|愛知県|三重県|滋賀県|京都府|大阪府|兵庫県|奈良県|和歌山県|鳥取県|島根県|岡山県|広島県|山口県|徳島県"
    "|香川県|愛媛県|高知県|福岡県|佐賀県|長崎県|熊本県|大分県|宮崎県|鹿児島県|沖縄県"
)
DASHES = r"\-‐‑‒–—−ー－"  # everything that people type for a hyphen
DASH = f"[{DASHES}]"
MARKS = {"mail": "[EMAIL]", "phone": "[PHONE]", "postal_code": "[POSTAL_CODE]", "card_number": "[CARD_NUMBER]"}

_MAIL = re.compile(
    r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}[@＠](?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,62})\.){1,8}[A-Za-z]{2,24}"
    r"(?![A-Za-z0-9-])"
)
_RESERVED = re.compile(r"(?i)[@＠.]example\.(?:com|org|net|jp|co\.jp|ne\.jp)$")  # nobody's (RFC 2606, JPRS)
_PHONE = re.compile(
    rf"""
    (?<![\d.{DASHES}/])
    (?:
        (?:\+|＋)\d{{1,3}}[ {DASHES}]?(?:\(0\))?(?:\d{{1,4}}[ {DASHES}]){{1,3}}\d{{3,4}}       # +81-3-1234-5678
      | \(?0\d{{1,4}}\)?[ ]?{DASH}[ ]?\d{{1,4}}[ ]?{DASH}[ ]?\d{{3,4}}                                # 03-1234-5678
      | \(0\d{{1,4}}\)[ ]?\d{{1,4}}{DASH}\d{{4}} | 0\d{{1,4}}\(\d{{1,4}}\)\d{{4}}                     # (03)1234-5678
      | (?:電話|番号|TEL|Tel|tel|FAX|Fax|携帯|☎|℡)[ :：]{{0,2}}(?P<number>0\d{{9,10}})                 # 電話0312345678
      | 0[5789]0\d{{8}}                                                                              # 09012345678
      | \(\d{{3}}\)[ ]\d{{3}}-\d{{4}}                                                                # (212) 555-0123
    )
    (?![\d/{DASHES}]|\.\d)
    """,
    re.VERBOSE,
)
_POSTAL_CODE = re.compile(
    rf"〒[ ]?\d{{3}}{DASH}?\d{{4}}(?!\d)|(?<![\d{DASHES}])\d{{3}}{DASH}\d{{4}}(?=[ \u3000\n]{{0,2}}(?:{PREFECTURES}))"
)
_CARD_NUMBER = re.compile(rf"(?<![\d.{DASHES}])[3-6]\d{{3}}(?:[ {DASHES}]?\d{{2,6}}){{2,4}}(?![\d{DASHES}]|\.\d)")
# Where to look for numbers at all: the patterns above would cost three times as much on the whole text.
_NUMBERS = re.compile(rf"\d[\d {DASHES}()]{{5,}}\d")


def find_personal_data(text: str) -> list[tuple[int, int, str]]:
    """(start, end, kind) of every piece of personal data, in order, none overlapping; kinds are the keys of MARKS."""
    found: list[tuple[int, int, str]] = []
    if "@" in text or "＠" in text:
        found += ((*match.span(), "mail") for match in _MAIL.finditer(text) if not _RESERVED.search(match[0]))
    for numbers in _NUMBERS.finditer(text):
        around = max(0, numbers.start() - 5), numbers.end() + 6  # 電話番号: before it, a prefecture behind it
        found += ((*match.span(), "postal_code") for match in _POSTAL_CODE.finditer(text, *around))
        found += (
            (*match.span(), "card_number") for match in _CARD_NUMBER.finditer(text, *around) if _is_card(match[0])
        )
        for match in _PHONE.finditer(text, *around):
            start, end = match.span("number" if match["number"] else 0)
            if 9 <= len(_digits(text[start:end])) <= 15:
                found.append((start, end, "phone"))
    found.sort()
    separate: list[tuple[int, int, str]] = []
    for piece in found:
        if not separate or piece[0] >= separate[-1][1]:
            separate.append(piece)
    return separate


def mask_personal_data(text: str) -> tuple[str, Counter[str]]:
    """The text with marks in place of personal data, and how many of each kind there were."""
    found = find_personal_data(text)
    if not found:
        return text, Counter()
    parts, start = [], 0
    for first, last, kind in found:
        parts += text[start:first], MARKS[kind]
        start = last
    return "".join(parts) + text[start:], Counter(kind for _, _, kind in found)


def _digits(text: str) -> list[int]:
    return [int(character) for character in text if character.isdecimal()]


def _is_card(text: str) -> bool:
    """Whether the digits are a card number by their length and the Luhn sum (ISO/IEC 7812)."""
    digits = _digits(text)
    if not 13 <= len(digits) <= 19 or len(set(digits)) < 2:
        return False
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[-2::-2])
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0
