"""The settings of a campaign."""

from dataclasses import dataclass, field

from ..errors import InputError
from ..preferences.adjudication import AdjudicationRule
from .export_formats import FORMATS


@dataclass
class AnnotatePreferencesConfig(AdjudicationRule):
    """Lets people compare two answers to a prompt, or review dialogues that a model wrote, on a web page."""

    pairs: str = field(
        default="sample", metadata={"help": "File of pairs (pairs.jsonl); `sample`: twelve that come with nec13b."}
    )
    review: str = field(
        default="",
        metadata={"help": "Folder of augment_dialogues.py: review its dialogues instead, into its reviewed.jsonl."},
    )
    output_dir: str = field(
        default="runs/annotate_preferences", metadata={"help": "Folder for the campaign and what comes of it."}
    )
    judgements_per_pair: int = field(default=2, metadata={"help": "People who judge each pair."})
    check_every: int = field(
        default=10, metadata={"help": "After so many judgements of a person comes one pair whose answer is known."}
    )
    lease_minutes: float = field(
        default=30.0, metadata={"help": "How long an opened pair waits for its judgement before another may get it."}
    )
    guidelines: str = field(
        default="",
        metadata={"help": "Markdown file for both languages, or a folder with ja.md and en.md. Default: nec13b's."},
    )
    host: str = field(
        default="127.0.0.1", metadata={"help": "Address of the page. Any other than this machine's needs logins."}
    )
    port: int = field(default=7861, metadata={"help": "Port of the page."})
    allowed_hosts: list[str] = field(
        default_factory=list, metadata={"help": "Names under which the page may be asked for, as behind a proxy."}
    )
    https: bool = field(
        default=False, metadata={"help": "The page is reached by https (a proxy sees to it): cookies go no other way."}
    )
    logins_variable: str = field(
        default="NEC13B_ANNOTATORS",
        metadata={"help": "Environment variable with name:password,name:password or with the path of a file of them."},
    )
    report: bool = field(default=False, metadata={"help": "Write the report and end; no page is served."})
    export: str = field(
        default="",
        metadata={"help": f"Write what was judged and end; no page is served: {', '.join(FORMATS)}."},
    )
    take_in: str = field(
        default="",
        metadata={
            "help": "Take in judgements made elsewhere (judgements.jsonl, Argilla, Label Studio; sample) and end."
        },
    )

    def __post_init__(self):
        self.check_adjudication_rule()
        for name in ("judgements_per_pair", "check_every"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not self.lease_minutes > 0:
            raise InputError(f"lease_minutes must be above 0, not {self.lease_minutes}")
        if not 0 <= self.port < 2**16:
            raise InputError(f"port must be from 0 to 65535, not {self.port}")
        if self.export and self.export not in FORMATS:
            raise InputError(f"export must be one of {', '.join(FORMATS)}, not {self.export!r}")
        if self.review and (self.export or self.take_in):
            raise InputError("a review goes into the folder's reviewed.jsonl; it is not exported or taken in")
