"""A packing plan is made once, found again without a scan, and never taken for that of other tokens."""

import pickle

import numpy as np
import pytest

from nec13b.errors import InputError
from nec13b.pretraining import packing
from nec13b.pretraining.packing import ConcatenatedPacking, PackingPlan, packing_plan, packing_report

LENGTHS = {"ja": [30, 7, 7, 50, 3, 12, 1, 9, 40, 2, 2], "en": [5] * 20}


def sequences(plan: PackingPlan) -> dict:
    return {domain: [packed.pieces(i) for i in range(len(packed))] for domain, packed in plan.domains.items()}


def test_a_plan_is_made_once_beside_the_tokens(shards_of, tmp_path, monkeypatch, capsys):
    shards = shards_of(LENGTHS)
    made = packing_plan(shards, 16, tmp_path / "run")
    assert made.folder == shards.folder / "packing" / "best_fit-16"
    assert "planning" in capsys.readouterr().out
    monkeypatch.setattr(packing, "pack_best_fit", None)  # nothing may be packed again
    found = packing_plan(shards, 16, tmp_path / "another run")
    assert sequences(found) == sequences(made)
    assert capsys.readouterr().out == ""
    assert not [path for path in shards.folder.rglob("*") if path.name.endswith(".tmp")]


def test_where_the_tokens_cannot_be_written_to_the_run_keeps_the_plan(shards_of, tmp_path, monkeypatch):
    shards = shards_of(LENGTHS)
    (shards.folder / "packing").write_text("in the way")
    made = packing_plan(shards, 16, tmp_path / "run")
    assert made.folder == tmp_path / "run" / "packing" / "best_fit-16"
    monkeypatch.setattr(packing, "pack_best_fit", None)
    assert packing_plan(shards, 16, tmp_path / "run").folder == made.folder
    (tmp_path / "other").write_text("in the way too")
    with pytest.raises(InputError, match="the packing plan cannot be written"):
        packing_plan(shards, 16, tmp_path / "other")


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "ja.starts").write_bytes((folder / "ja.starts").read_bytes()[:-1]),
        lambda folder: (folder / "en.offsets").unlink(),
        lambda folder: (folder / "plan.json").write_text("{"),
        lambda folder: (folder / "plan.json").write_text("{}"),
    ],
)
def test_a_damaged_plan_is_made_again(shards_of, tmp_path, damage):
    shards = shards_of(LENGTHS)
    plan = packing_plan(shards, 16, tmp_path / "run")
    before = sequences(plan)
    damage(plan.folder)
    with pytest.raises(InputError):
        PackingPlan.open(plan.folder, shards, 16)
    assert sequences(packing_plan(shards, 16, tmp_path / "run")) == before


def test_the_plan_of_other_tokens_is_not_used(shards_of, tmp_path):
    first, other = shards_of(LENGTHS), shards_of({**LENGTHS, "en": [6] * 20}, "other")
    folder = packing_plan(first, 16, tmp_path / "run").folder
    with pytest.raises(InputError, match="other tokens"):
        PackingPlan.open(folder, other, 16)
    with pytest.raises(InputError, match="other tokens"):
        PackingPlan.open(folder, first, 17)


def test_a_killed_run_leaves_no_plan_and_two_at_once_agree(shards_of, tmp_path, monkeypatch):
    shards = shards_of(LENGTHS)
    monkeypatch.setattr(packing, "pack_best_fit", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        packing_plan(shards, 16, tmp_path / "run")
    assert list((shards.folder / "packing").iterdir()) == []
    monkeypatch.undo()
    # Another run finishes the same plan while this one is still writing.
    original = packing.pack_best_fit
    folder = shards.folder / "packing" / "best_fit-16"

    def slow(ends, sequence_length):
        packed = original(ends, sequence_length)
        if not folder.exists():
            monkeypatch.setattr(packing, "pack_best_fit", original)
            monkeypatch.setattr(packing.os, "getpid", lambda: 1)
            packing._write_plan(folder, shards, 16)
            monkeypatch.setattr(packing.shutil, "rmtree", lambda *_, **__: None)
        return packed

    monkeypatch.setattr(packing, "pack_best_fit", slow)
    plan = packing_plan(shards, 16, tmp_path / "run")
    monkeypatch.undo()
    assert sequences(plan) == sequences(packing_plan(shards_of(LENGTHS, "again"), 16, tmp_path / "run2"))


def test_damaged_document_ends_are_named(shards_of, tmp_path):
    shards = shards_of(LENGTHS)
    ends = np.fromfile(shards.folder / "train-ja.ends", "<i8")
    ends[3] = ends[2] - 1
    ends.tofile(shards.folder / "train-ja.ends")
    with pytest.raises(InputError, match=r"train/ja: document 3 ends before it begins; make it again with"):
        packing_plan(shards, 16, tmp_path / "run")


def test_a_sequence_cut_from_the_stream(shards_of):
    stream = shards_of({"ja": [10, 6, 20, 1, 1, 4]}).streams["train"]["ja"]  # ends 10, 16, 36, 37, 38, 42
    together, apart = (ConcatenatedPacking(stream, 16, documents_apart) for documents_apart in (False, True))
    assert len(together) == len(apart) == 3
    assert [together.pieces(i) for i in range(3)] == [[(0, 16)], [(16, 16)], [(32, 10)]]
    assert [apart.pieces(i) for i in range(3)] == [
        [(0, 10), (10, 6)],
        [(16, 16)],
        [(32, 4), (36, 1), (37, 1), (38, 4)],
    ]


def test_a_worker_that_is_not_forked_opens_the_files(shards_of, tmp_path):
    """A memory map is pickled with its content; these must not be, they may be hundreds of gigabytes."""
    shards = shards_of({"ja": [100_000]})
    packed = packing_plan(shards, 16, tmp_path / "run").domains["ja"]
    stream = shards.streams["train"]["ja"]
    for opened in (packed, stream):
        assert len(pickle.dumps(opened)) < 2000
    assert pickle.loads(pickle.dumps(packed)).pieces(7) == packed.pieces(7)
    assert np.array_equal(pickle.loads(pickle.dumps(stream)).window(5, 90), stream.window(5, 90))


def test_the_report_counts_what_is_cut(shards_of):
    stream = shards_of({"ja": [10, 6, 20, 1, 1, 4, 16, 6]}).streams["train"]["ja"]  # 64 tokens
    report = packing_report(stream, 16)
    assert (report.mean_length, report.longer, report.cut) == (8, 1, 2)
    assert (report.sequences, report.filled) == (4, 1.0)
