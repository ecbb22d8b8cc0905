"""Models side by side on JSQuAD and JCommonsenseQA: what `evaluation/jglue.py` does.

Each model, task and seed is a file of its own, written when it is whole. A command that is given again measures what is
missing.
"""

from pathlib import Path

from ..checkpoint_fingerprint import fingerprint_of_checkpoint
from ..errors import InputError
from ..run_record import RunRecord, read_json, write_json
from .comparison_config import JglueConfig
from .figure import draw_scores
from .measurement import check_tasks, load_model, measure, state_of_checkpoint
from .summary import summaries, table

RESULT_NAME, FIGURE_NAME, MEASURED_FOLDER = "jglue.json", "jglue.png", "measured"


def compare(config: JglueConfig, tasks: Path) -> dict:
    """Measures what is not yet measured, prints and writes; returns what is written.

    Args:
        config: the settings.
        tasks: the folder evaluation/tasks.

    Raises:
        InputError: a model, a task or the questions are missing, or the folder holds measurements of other settings.
    """
    record, output = RunRecord("jglue", config), Path(config.output_dir)
    check_tasks(config.tasks, tasks)
    measured: dict[str, dict[str, list[dict]]] = {}
    for label, checkpoint in config.checkpoints().items():
        lm, asked_of_model = None, {"checkpoint": checkpoint, "state": state_of_checkpoint(checkpoint)}
        for task in config.tasks:
            for seed in config.few_shot_seeds:
                path = output / MEASURED_FOLDER / f"{label}-{task}-seed{seed}.json"
                asked = {**asked_of_model, **_settings_that_count(config)}
                found = measured_before(path, asked)
                if found is None:
                    if lm is None:
                        lm = load_model(checkpoint, config)
                    print(f"{label}: {task}, seed {seed} ...", flush=True)
                    found = {"label": label, "made_with": asked,
                             **measure(lm, task, seed, config, tasks)}  # fmt: skip
                    write_json(path, found)
                measured.setdefault(task, {}).setdefault(label, []).append(found)
        del lm
    result = {"tasks": summaries(measured)}
    print(*table(result["tasks"]), sep="\n")
    write_json(output / RESULT_NAME, result)
    draw_scores(output / FIGURE_NAME, result["tasks"])
    models = {label: [path, fingerprint_of_checkpoint(path)] for label, path in config.checkpoints().items()}
    record.update("inputs", models=models)
    record.update("metrics", scores={task: values["models"] for task, values in result["tasks"].items()})
    record.write(output)
    print(f"\n{output / FIGURE_NAME}   the figure\n{output / RESULT_NAME}   the numbers\n"
          f"{output / MEASURED_FOLDER}/   every answer")  # fmt: skip
    return result


def measured_before(path: Path, asked: dict) -> dict | None:
    """What an earlier run measured; None where there is nothing.

    Raises:
        InputError: it was measured with other settings, or of a checkpoint that has changed since.
    """
    if not path.is_file():
        return None
    found = read_json(path, "evaluation/jglue.py")
    other = sorted(key for key in asked if found.get("made_with", {}).get(key) != asked[key])
    if other:
        raise InputError(
            f"{path} was measured with another {', '.join(other)}; choose another --output_dir, or delete the file"
        )
    return found


def _settings_that_count(config: JglueConfig) -> dict:
    names = ("shots", "as_jp_stable", "jglue", "jglue_revision", "chat_template", "limit", "max_answer_tokens", "dtype")
    return {name: getattr(config, name) for name in names}
