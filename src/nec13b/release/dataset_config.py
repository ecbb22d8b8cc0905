"""The settings of publishing a data set: which, with what said of it, and where it goes."""

from dataclasses import dataclass, field

from ..errors import InputError
from .hub_push import check_target


@dataclass
class PublishDatasetConfig:
    """Makes a data set of the Hub out of a cleaned corpus, or of prepared dialogues or preferences, with its card."""

    dataset: str = field(
        default="runs/clean",
        metadata={"help": "Folder of recipes/clean_corpus.py, prepare_dialogues.py or prepare_preferences.py."},
    )
    output_dir: str = field(
        default="runs/dataset", metadata={"help": "Folder; the data set lies in hub/ there, as the Hub will have it."}
    )
    overwrite_output_dir: bool = field(default=False, metadata={"help": "Replace what output_dir holds."})
    provenance: bool = field(
        default=False,
        metadata={
            "help": "Publish how dialogues and preferences came about, too: models, seeds, who mended an answer. "
            "Look through it first."
        },
    )

    # The card.
    title: str = field(default="", metadata={"help": "What the card calls the data set. Default: its folder."})
    licence: str = field(
        default="", metadata={"help": "Licence of the whole as the Hub names it (odc-by); whoever publishes decides."}
    )
    languages: list[str] = field(default_factory=list, metadata={"help": "Default: those that its making let in."})
    limits: str = field(default="", metadata={"help": "Markdown file on limits and intended use, for the card."})

    # Where it goes.
    push_to: str = field(
        default="", metadata={"help": "owner/name on the Hub, or a local folder (with a / at its start, or ./)."}
    )
    private: bool = field(default=True, metadata={"help": "A repository that is made is private."})
    dry_run: bool = field(default=False, metadata={"help": "List the files and their sizes, and write nothing."})

    def __post_init__(self):
        if not self.dataset:
            raise InputError("dataset is empty; name the folder of a cleaned corpus, of dialogues or of preferences")
        if self.push_to:
            check_target(self.push_to)
