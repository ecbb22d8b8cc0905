"""Dialogues out of OpenAssistant's trees, in which people wrote several answers to a message and ranked them.

A path from the first message to the last answer of a branch is a dialogue. The best branch takes at each step the reply
of the lowest rank; all branches share their beginnings, which `Dialogue.is_held_out` keeps on one side of the split.
Trees come nested, one a row, or as a table of messages, a message a row, whose rows are put together here first.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from .dialogue import Message
from .dialogue_shapes import NotADialogue, kind_of, role_named

BRANCHES = ("best", "all")
Note = Callable[[Any, str, str, Any], None]


@dataclass
class TreeMessage:
    """A message with what was replied to it.

    Attributes:
        message: role and content.
        at: where it stands, in whatever way the reader says it.
        rank: its place among its siblings, 0 the best; None where nobody ranked it.
        language: as the data set says, `ja`.
        replies: in the order in which they come.
    """

    message: Message
    at: Any
    rank: float | None = None
    language: str = ""
    replies: list["TreeMessage"] = field(default_factory=list)


def nested_tree(row: dict, at: Any) -> TreeMessage:
    """The tree of a row of the nested export, without what was deleted; raises NotADialogue where it has none."""
    root = _tree_message(row["prompt"], at)
    if root is None:
        raise NotADialogue("the first message of the tree was deleted")
    unread = [(root, row["prompt"])]
    while unread:  # no recursion: a tree may be as deep as it likes
        parent, written = unread.pop()
        replies = written.get("replies") or []
        if not isinstance(replies, list):
            raise NotADialogue("the replies of a message are no list")
        for reply in replies:
            child = _tree_message(reply, at)
            if child is not None:
                parent.replies.append(child)
                unread.append((child, reply))
    return root


def trees_of_table(rows: Iterable[tuple[Any, dict]], note: Note) -> Iterator[TreeMessage]:
    """The trees of a table of messages, in the order of their first messages.

    Args:
        rows: (place, row) of each message; they are held in memory.
        note: takes (place, reason, detail, row) of what belongs to no tree.
    """
    messages: dict[str, TreeMessage] = {}
    parents: dict[str, str] = {}
    removed: set[str] = set()
    written: dict[str, dict] = {}
    for at, row in rows:
        name = str(row["message_id"])
        if name in messages or name in removed:
            note(at, "duplicate id", f"message_id {name} stands twice", row)
            continue
        try:
            message = _tree_message(row, at)
        except NotADialogue as error:
            note(at, "not a dialogue", str(error), row)
            message = None
        else:
            if message is None:
                note(at, "deleted message", "its author or the review took it back", row)
        if message is None:
            removed.add(name)
        else:
            messages[name], written[name] = message, row
            parents[name] = str(row["parent_id"]) if row["parent_id"] not in (None, "") else ""
    roots = []
    for name, message in messages.items():
        parent = parents[name]
        if not parent:
            roots.append(message)
        elif parent in messages:
            messages[parent].replies.append(message)
    reached: set[int] = set()
    unread = list(roots)
    while unread:
        message = unread.pop()
        reached.add(id(message))
        unread += message.replies
    for name, message in messages.items():
        if id(message) not in reached:
            parent = parents[name]
            why = "deleted or broken" if parent in removed else "cut off, too" if parent in messages else "not there"
            note(message.at, "reply to a missing message", f"parent {parent} is {why}", written[name])
    yield from roots


def paths_of_tree(root: TreeMessage, branches: str = "best") -> list[list[TreeMessage]]:
    """The paths from the first message to the last answer of a branch, the best first; none where nobody answered.

    Args:
        root: the first message.
        branches: `best` gives one path, `all` each path that no other one continues.
    """
    answered = _answered(root)
    paths, unread = [], [[root]]
    while unread:
        path = unread.pop()
        going_on = [reply for reply in path[-1].replies if id(reply) in answered]
        if not going_on:
            if path[-1].message["role"] == "assistant":
                paths.append(path)
                if branches == "best":
                    break
            continue
        # An unranked reply comes after the ranked ones; sorting is stable, so else the first one wins.
        going_on.sort(key=lambda reply: float("inf") if reply.rank is None else reply.rank)
        unread += [[*path, reply] for reply in reversed(going_on)]
    return paths


def _answered(root: TreeMessage) -> set[int]:
    """The messages that are answers, or below which an answer stands."""
    order, unread = [], [root]
    while unread:
        message = unread.pop()
        order.append(message)
        unread += message.replies
    answered: set[int] = set()
    for message in reversed(order):  # replies before what they reply to
        if message.message["role"] == "assistant" or any(id(reply) in answered for reply in message.replies):
            answered.add(id(message))
    return answered


def _tree_message(row: Any, at: Any) -> TreeMessage | None:
    """A message without its replies; None where it was deleted."""
    if not isinstance(row, dict):
        raise NotADialogue(f"a message of the tree is {kind_of(row)}, not an object")
    if row.get("deleted") or row.get("review_result") is False:
        return None
    if not isinstance(row.get("text"), str):
        raise NotADialogue("a message of the tree has no text")
    rank = row.get("rank")
    rank = rank if isinstance(rank, (int, float)) and rank == rank else None  # a table of numbers has NaN for none
    language = row.get("lang") if isinstance(row.get("lang"), str) else ""
    return TreeMessage(Message(role=role_named(row.get("role", "")), content=row["text"]), at, rank, language)
