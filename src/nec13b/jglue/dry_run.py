"""What evaluation/jglue.py and contamination.py would do."""

import os
from pathlib import Path

from ..dry_run import DryRun, DryRunInput, checkpoint_input, corpus_inputs
from .comparison import MEASURED_FOLDER
from .comparison_config import JglueConfig
from .contamination import ContaminationConfig
from .questions import FOLDER_VARIABLE


def jglue_dry_run(config: JglueConfig) -> DryRun:
    """Which models are measured on what, and how much of that has been measured before."""
    inputs = [checkpoint_input("models", path, "the recipe that trains it makes it")
              for path in config.checkpoints().values()]  # fmt: skip
    folder = config.jglue or os.environ.get(FOLDER_VARIABLE)
    if folder:
        inputs += corpus_inputs("jglue", folder, "git clone https://github.com/yahoojapan/JGLUE, its folder datasets")
    else:
        found = f"not set: the Hub's copies are fetched; ${FOLDER_VARIABLE} or --jglue names a folder"
        inputs.append(DryRunInput("jglue", f"${FOLDER_VARIABLE}", found))
    wanted = [(label, task, seed) for label in config.checkpoints() for task in config.tasks
              for seed in config.few_shot_seeds]  # fmt: skip
    measured = Path(config.output_dir) / MEASURED_FOLDER
    done = sum((measured / f"{label}-{task}-seed{seed}.json").is_file() for label, task, seed in wanted)
    shots = "2 (JSQuAD) and 3 (JCommonsenseQA)" if config.shots is None else str(config.shots)
    questions = f"the first {config.limit:,}" if config.limit else "all"
    plan = (
        f"{len(config.checkpoints())} models x {len(config.tasks)} tasks x {len(config.few_shot_seeds)} seeds: "
        f"{len(wanted)} measurements, {done} of them there",
        f"tasks: {', '.join(config.tasks)}",
        f"shots: {shots}; {questions} questions; dtype {config.dtype}, {config.batch_size} prompts at once",
    )
    return DryRun(tuple(inputs), plan, config.output_dir, "jglue.json, jglue.png, measured/")


def contamination_dry_run(config: ContaminationConfig) -> DryRun:
    """Of evaluation/contamination.py."""
    texts = corpus_inputs("corpus", config.corpus) + corpus_inputs("dialogues", config.dialogues)
    items = corpus_inputs("items", config.items)
    plan = (f"looks for the questions of {len(items)} entries in {len(texts)} entries of training text",)
    return DryRun((*texts, *items), plan, config.output_dir, "contamination.json, set_aside.jsonl")
