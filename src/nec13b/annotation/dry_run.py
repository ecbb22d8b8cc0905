"""What recipes/annotate_preferences.py would do."""

import os
from pathlib import Path

from ..dry_run import DryRun, DryRunInput, corpus_inputs, file_input, made_by
from .annotation_config import AnnotatePreferencesConfig


def annotation_dry_run(config: AnnotatePreferencesConfig) -> DryRun:
    """What people would be shown, where, and how their judgements would count."""
    if config.review:
        inputs = [file_input("review", config.review, made_by("recipes/augment_dialogues.py"))]
    else:
        inputs = corpus_inputs("pairs", config.pairs, made_by("recipes/sample_candidates.py"))
    inputs += [file_input("guidelines", config.guidelines)] if config.guidelines else []
    inputs += [file_input("take_in", config.take_in)] if config.take_in else []
    serves = not (config.report or config.export or config.take_in)
    plan = []
    if serves:
        is_set = bool(os.environ.get(config.logins_variable))
        found = "set" if is_set else "not set: nobody logs in, so the page is for this machine only"
        inputs.append(DryRunInput("logins_variable", f"${config.logins_variable}", found))
        names = f" under the names {', '.join(config.allowed_hosts)}" if config.allowed_hosts else ""
        plan.append(
            f"serves a page at http://{config.host}:{config.port}{names}{', behind https' if config.https else ''}"
        )
    if config.review:
        plan.append("people accept, mend or reject dialogues")
    else:
        plan += [
            f"{config.judgements_per_pair} people judge each pair, one pair in {config.check_every} a check of them",
            f"a preference needs {config.min_judges} people and a margin of {config.min_margin:g}",
        ]
    plan += ["takes in judgements made elsewhere"] if config.take_in else []
    plan += [f"exports for {config.export}"] if config.export else []
    output = Path(config.review) / "review" if config.review else Path(config.output_dir)
    return DryRun(tuple(inputs), tuple(plan), str(output))
