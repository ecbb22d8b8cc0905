"""Signs that a model has found its reward without becoming better, and the end of the run that shows one.

DPO can raise every margin while the answers get long, odd or unlikely (Rafailov et al., arXiv:2406.02900). Four signs
are watched, each with a limit of its own: the KL to the reference, the length of the model's own answers, how likely
the chosen ones are, and held-out accuracy that falls. An evaluation comes before the checkpoint of its step, so the
newest checkpoint on disk is one that showed no sign.
"""

import itertools
from pathlib import Path

from ..errors import InputError
from ..pretraining.checkpoints import all_checkpoints, reason_not_whole


def evaluations(log_history: list[dict]) -> list[dict]:
    """The rows of all held-out preferences together, in order of steps, each step once."""
    return list({row["step"]: row for row in log_history if "held_out_accuracy" in row}.values())


def sign_of_hacking(rows: list[dict], limits: dict[str, float]) -> tuple[str, int] | None:
    """What the last evaluation shows, or None.

    Args:
        rows: as `evaluations` gives them.
        limits: by the name of the setting.

    Returns:
        (the sign in words, the last step that did not show it).
    """
    last, before = rows[-1], rows[-2]["step"] if len(rows) > 1 else 0
    limit = limits.get("max_kl")
    if limit and last.get("kl", 0) > limit:
        return f"the KL to the reference is {last['kl']:.3f} nats a token, above max_kl {limit:g}", before
    limit = limits.get("max_length_ratio")
    if limit and last.get("length_ratio", 1) > limit:
        ratio = last["length_ratio"]
        return (
            f"the model's answers are {ratio:.2f} times as long as before the first step, above max_length_ratio "
            f"{limit:g}",
            before,
        )
    limit, ratio = limits.get("max_chosen_drop"), last["held_out_chosen_ratio"]
    if limit and -ratio > limit:
        return f"held-out chosen answers lost {-ratio:.3f} nats a token, above max_chosen_drop {limit:g}", before
    falls = int(limits.get("max_falls", 0))
    if falls and len(rows) > falls:
        curve = [row["held_out_accuracy"] for row in rows[-falls - 1 :]]
        if all(later < earlier for earlier, later in itertools.pairwise(curve)):
            shares = " > ".join(f"{share:.1%}" for share in curve)
            return f"held-out accuracy has fallen {falls} times in a row ({shares})", rows[-falls - 1]["step"]
    return None


def stop_at(step: int, sign: str, good_until: int, output: Path) -> InputError:
    """The error that a run ends with.

    Args:
        step: the present one.
        sign: what was seen.
        good_until: the last step that did not show it.
        output: the run's folder.
    """
    whole = [path for at, path in all_checkpoints(output) if at <= good_until and reason_not_whole(path) is None]
    kept = f"{whole[-1]} is from before that, and can be used" if whole else "no checkpoint is from before that"
    return InputError(
        f"the run ends at step {step:,}: {sign}. {kept}. Lower learning_rate, raise beta, or evaluate and save more "
        "often; to train on regardless, raise the limit or set it to 0. alignment.png shows how it came"
    )
