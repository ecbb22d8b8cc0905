"""Publishing: a folder to the Hub, or to a local folder that stands for it."""

import shutil
from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

from ..errors import InputError, one_line


def is_local(target: str) -> bool:
    """Whether a target is a folder of this machine: it begins with `/`, `./`, `../` or `~`."""
    return target.startswith(("/", "./", "../", "~"))


def check_target(target: str) -> None:
    """Raises InputError where a target is neither a folder nor a name on the Hub."""
    if not is_local(target) and target.count("/") != 1:
        raise InputError(f"push_to must be owner/name, or a folder that begins with / or ./, not {target!r}")


def files_and_sizes(folder: Path) -> list[tuple[str, int]]:
    """(name, bytes) of each file that is published."""
    return [
        (str(path.relative_to(folder)), path.stat().st_size) for path in sorted(folder.rglob("*")) if path.is_file()
    ]


def push(folder: Path, target: str, private: bool, message: str, repo_type: str = "model") -> str:
    """Uploads a folder.

    Args:
        folder: what is published.
        target: `owner/name` on the Hub, with the token that `HF_TOKEN` or `hf auth login` gives; or a folder.
        private: whether a repository that does not exist yet is made private.
        message: of the commit.
        repo_type: `model` or `dataset`.

    Returns:
        Where it lies now.

    Raises:
        InputError: the Hub refuses, or cannot be reached; nothing local is changed.
    """
    check_target(target)
    if is_local(target):
        place = Path(target).expanduser()
        for name, _ in files_and_sizes(folder):
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(folder / name, place / name)
        return str(place)
    api = HfApi()
    try:
        url = api.create_repo(target, private=private, repo_type=repo_type, exist_ok=True)
        api.upload_folder(repo_id=target, repo_type=repo_type, folder_path=folder, commit_message=message)
    except LocalTokenNotFoundError:
        raise InputError("pushing needs a token of the Hub; set HF_TOKEN or run `hf auth login`") from None
    except (HfHubHTTPError, OSError) as error:
        raise InputError(f"the Hub did not take {target}: {one_line(error)}") from error
    return str(url)
