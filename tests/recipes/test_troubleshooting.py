"""docs/troubleshooting.md quotes what is printed: mistakes that are cheap to make are made, and sought on the page."""

import socket

import pytest

MISTAKES = {
    "a misspelt flag": ("pretrain", "--hiden_size", "3"),
    "a wrong type": ("pretrain", "--hidden_size", "wide"),
    "no config": ("pretrain", "--config", "nowhere.yaml"),
    "a batch that cannot be shared": ("pretrain", "--tokens_per_batch", "1000"),
    "rows that cannot be shared": ("chat_tune", "--rows_per_batch", "3", "--per_device_train_batch_size", "2"),
    "no model yet": ("align",),
    "no classifier": ("clean_corpus", "--quality", "nowhere"),
    "logins": ("annotate_preferences", "--host", "0.0.0.0"),
}
WITHOUT_A_GPU = {
    "flash attention": ("pretrain", "--attn_implementation", "flash_attention_2"),
    "flex attention": ("pretrain", "--attn_implementation", "flex_attention"),
    "four bits": ("chat_tune", "--adapter", "qlora"),
}


@pytest.fixture
def page(root, tmp_path, monkeypatch) -> str:
    """The page; the command runs in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NEC13B_ANNOTATORS", raising=False)
    return (root / "docs" / "troubleshooting.md").read_text(encoding="utf-8")


def error_line(outcome) -> str:
    lines = [line for line in outcome.err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    return lines[0]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_line_stands_on_the_page(run_recipe, page, mistake):
    recipe, *flags = MISTAKES[mistake]
    outcome = run_recipe(recipe, *flags)
    assert outcome.status == 2
    assert f"`{error_line(outcome)}`" in page


@pytest.mark.parametrize("mistake", WITHOUT_A_GPU)
def test_the_line_of_a_machine_without_a_gpu_stands_on_the_page(run_recipe, page, no_gpu, mistake):
    recipe, *flags = WITHOUT_A_GPU[mistake]
    outcome = run_recipe(recipe, *flags)
    assert outcome.status == 2
    assert f"`{error_line(outcome)}`" in page


def test_a_port_that_is_taken(run_recipe, page):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        outcome = run_recipe("annotate_preferences", "--port", str(port))
    assert outcome.status == 2
    assert f"`{error_line(outcome).replace(str(port), '7861')}`" in page


@pytest.fixture
def no_gpu():
    import torch

    if torch.accelerator.is_available():
        pytest.skip("this machine has a GPU")
