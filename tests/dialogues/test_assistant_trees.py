"""Trees become dialogues: the best branch or all of them, nested or as a table, with nothing lost on the way."""

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nec13b.dialogues.assistant_trees import nested_tree, paths_of_tree, trees_of_table
from nec13b.dialogues.dialogue_shapes import NotADialogue


def message(name, role, *replies, rank=None, **more):
    return {"message_id": name, "text": name, "role": role, "rank": rank, "replies": list(replies), **more}


TREE = message(
    "q", "prompter",
    message("a2", "assistant", rank=1),
    message("a1", "assistant", message("q2", "prompter", message("b1", "assistant", rank=0)), message("q3", "prompter"),
            rank=0),
    message("a3", "assistant", message("q4", "prompter", message("b2", "assistant"))),
)  # fmt: skip


def table_of(tree, parent=None):
    """The rows of a tree as the flat export has them."""
    replies = tree["replies"]
    yield {key: value for key, value in tree.items() if key != "replies"} | {"parent_id": parent}
    for reply in replies:
        yield from table_of(reply, tree["message_id"])


def texts(paths):
    return [" ".join(step.message["content"] for step in path) for path in paths]


def read_table(rows):
    notes = []
    trees = list(trees_of_table(enumerate(rows), lambda at, reason, detail, row: notes.append((at, reason, detail))))
    return trees, notes


def test_the_best_branch_follows_the_ranks_and_ends_with_an_answer():
    assert texts(paths_of_tree(nested_tree({"prompt": TREE}, 1))) == ["q a1 q2 b1"]


def test_all_branches_the_best_first_and_unranked_ones_last():
    assert texts(paths_of_tree(nested_tree({"prompt": TREE}, 1), "all")) == ["q a1 q2 b1", "q a2", "q a3 q4 b2"]


def test_a_question_nobody_answered_ends_a_branch_before_it():
    tree = message("q", "prompter", message("a", "assistant", message("q2", "prompter")))
    assert texts(paths_of_tree(nested_tree({"prompt": tree}, 1), "all")) == ["q a"]
    assert paths_of_tree(nested_tree({"prompt": message("q", "prompter")}, 1)) == []


def test_roles_and_languages_are_those_of_the_messages():
    root = nested_tree({"prompt": message("q", "prompter", message("a", "assistant"), lang="ja")}, "here")
    assert (root.message["role"], root.language, root.at, root.rank) == ("user", "ja", "here", None)


def test_deleted_and_refused_messages_go_with_what_was_replied_to_them():
    deleted = message("x", "assistant", message("q2", "prompter", message("b", "assistant")), rank=0, deleted=True)
    refused = message("y", "assistant", rank=1, review_result=False)
    tree = message("q", "prompter", deleted, refused, message("a", "assistant", rank=2))
    assert texts(paths_of_tree(nested_tree({"prompt": tree}, 1), "all")) == ["q a"]
    with pytest.raises(NotADialogue, match="was deleted"):
        nested_tree({"prompt": message("q", "prompter", deleted=True)}, 1)
    _, notes = read_table(table_of(tree))
    assert notes == [
        (1, "deleted message", "its author or the review took it back"),
        (4, "deleted message", "its author or the review took it back"),
        (2, "reply to a missing message", "parent x is deleted or broken"),
        (3, "reply to a missing message", "parent q2 is cut off, too"),
    ]


def test_a_table_in_any_order_gives_the_same_trees():
    rows = list(table_of(TREE)) + list(table_of(message("r", "prompter", message("s", "assistant"))))
    random.Random(3).shuffle(rows)
    trees, notes = read_table(rows)
    assert sorted(text for tree in trees for text in texts(paths_of_tree(tree))) == ["q a1 q2 b1", "r s"]
    assert not notes


def test_every_row_of_a_broken_table_is_told():
    rows = [
        {"message_id": "q", "parent_id": None, "text": "q", "role": "prompter"},
        {"message_id": "a", "parent_id": "q", "text": "a", "role": "assistant"},
        {"message_id": "a", "parent_id": "q", "text": "again", "role": "assistant"},
        {"message_id": "o", "parent_id": "gone", "text": "o", "role": "assistant"},
        {"message_id": "c", "parent_id": "d", "text": "c", "role": "assistant"},
        {"message_id": "d", "parent_id": "c", "text": "d", "role": "prompter"},
        {"message_id": "n", "parent_id": "q", "text": None, "role": "assistant"},
    ]
    trees, notes = read_table(rows)
    assert texts(paths_of_tree(trees[0])) == ["q a"]
    assert {(at, reason) for at, reason, _ in notes} == {
        (2, "duplicate id"), (3, "reply to a missing message"), (4, "reply to a missing message"),
        (5, "reply to a missing message"), (6, "not a dialogue"),
    }  # fmt: skip


TREES = st.recursive(
    st.just([]), lambda below: st.lists(st.tuples(st.none() | st.integers(0, 3), below), max_size=3), max_leaves=25
)


@settings(max_examples=40, deadline=None)
@given(TREES)
def test_paths_of_any_tree(shape):
    names = iter(range(1000))

    def grow(replies, role, rank):
        other = "assistant" if role == "prompter" else "prompter"
        return message(str(next(names)), role, *(grow(below, other, r) for r, below in replies), rank=rank)

    tree = grow(shape, "prompter", None)
    root = nested_tree({"prompt": tree}, 1)
    every, best = paths_of_tree(root, "all"), paths_of_tree(root)
    assert best == every[:1]
    assert all(path[0] is root and path[-1].message["role"] == "assistant" for path in every)
    assert all(later in earlier.replies for path in every for earlier, later in pairwise(path))
    # Each answer lies on some path, and no path is the beginning of another.
    answers = {row["message_id"] for row in table_of(tree) if row["role"] == "assistant"}
    assert {
        step.message["content"] for path in every for step in path if step.message["role"] == "assistant"
    } == answers
    assert len({id(path[-1]) for path in every}) == len(every)
    assert not {id(path[-1]) for path in every} & {id(step) for path in every for step in path[:-1]}
