"""The model card says of the trainings what their records say, and nothing that they do not know."""

from pathlib import Path

import pytest

from nec13b.release.model_card import CardFacts, model_card
from nec13b.release.stage_records import StageRecord

FACTS = CardFacts(
    title="tiny", parameters=1000, window=32, vocabulary=100, forms=["llama"], licence="apache-2.0", languages=["ja"],
    chats=False, limits="", repository="me/tiny",
)  # fmt: skip


@pytest.mark.parametrize(("resumed_from", "hours"), [(None, "2.00"), ("runs/pretrain/checkpoint-4", "")])
def test_hours_of_a_training_that_went_on_from_a_checkpoint_are_not_told(resumed_from, hours):
    """Its record has the time of its last part alone."""
    values = {
        "counts": {"steps": 12, "tokens": 6144},
        "timings_seconds": {"training": 7200.0},
        "config": {"learning_rate": 0.003, "tokens_per_batch": 512, "sequence_length": 32},
        "machine": {"processes": 1, "device": "cpu", "resumed_from": resumed_from},
    }
    card = model_card(FACTS, [StageRecord("pretrain", Path("runs/pretrain"), values)])
    (line,) = [line for line in card.splitlines() if line.startswith("| pre-training | 12")]
    assert line == f"| pre-training | 12 | 6,144 | 0.003 | 512 | 32 | 1 x cpu | {hours} |"
