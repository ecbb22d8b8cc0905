"""The cleansing as a user runs it: the same bytes on any number of workers, after any kill, on Ray and on Slurm."""

import contextlib
import fcntl
import json
import os
import random
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

# One process runs them all, so that what they are compared with is made once.
pytestmark = pytest.mark.xdist_group("clean_corpus")
# What a run leaves for others; logs and the record have times in them.
STAGES = (
    "filter", "exact-hashes", "exact-duplicates", "near-signatures", "near-pairs", "near-clusters", "line-hashes",
    "repeated-lines", "finish", "tally", "report",
)  # fmt: skip
RESULTS = ("documents", "rejected", "unreadable", "report.json", "report.html", "mixture.json", "cleaning.json")


def result(folder: Path) -> dict[str, bytes]:
    """Every byte of the result, by path."""
    files = {}
    for name in RESULTS:
        path = folder / name
        members = sorted(path.rglob("*")) if path.is_dir() else [path]
        files |= {str(member.relative_to(folder)): member.read_bytes() for member in members if member.is_file()}
    return files


@pytest.fixture(scope="module")
def flags(messy) -> list[str]:
    return ["--corpus", str(messy), "--minhash_bands", "4", "--dedup_splits", "2", "--held_out_fraction", "0.1"]


@pytest.fixture(scope="module")
def messy(sample, tmp_path_factory) -> Path:
    """A corpus of five files that takes some seconds."""
    from nec13b.corpus.dirty_corpus import DirtyCorpusConfig, dirty_rows

    folder = tmp_path_factory.mktemp("messy")
    documents = [d for d in sample if d.domain != "code"][::5] + [d for d in sample if d.domain == "code"][::12]
    rows = list(dirty_rows(documents, DirtyCorpusConfig(dirty_share=0.6, copy_share=0.2, near_copy_share=0.2)))
    for i in range(5):
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows[i::5]]
        (folder / f"{i}.jsonl").write_text("".join(lines) + '{"text": "cut', encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def undisturbed(flags, said_by_recipe, tmp_path_factory) -> dict[str, bytes]:
    """The result of one run on one worker."""
    folder = tmp_path_factory.mktemp("undisturbed") / "out"
    said_by_recipe("clean_corpus", *flags, "--output_dir", folder)
    return result(folder)


@pytest.fixture(scope="module")
def few_stages(flags) -> list[str]:
    """Flags that leave six stages: where each job takes seconds to begin, eleven would teach nothing more."""
    return [*flags, "--near_duplicates", "false", "--repeated_line_documents", "0"]


@pytest.fixture(scope="module")
def undisturbed_few_stages(few_stages, said_by_recipe, tmp_path_factory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("undisturbed") / "out"
    said_by_recipe("clean_corpus", *few_stages, "--output_dir", folder)
    return result(folder)


def command(flags, root, **environment) -> str:
    done = subprocess.run(
        [sys.executable, str(root / "recipes" / "clean_corpus.py"), *flags],
        capture_output=True, text=True, env={**os.environ, **environment}, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def processes_with(word: str) -> list[int]:
    """Ids of the processes with a word in their command, where the system lists them."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command_line = path.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if word in command_line:
            found.append(int(path.parent.name))
    return found


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs Linux's list of processes")
def test_a_worker_that_dies_ends_the_run_with_one_line(flags, start_recipe, tmp_path):
    """As when the system runs out of memory and kills one."""
    folder = tmp_path / "out"
    process = start_recipe("clean_corpus", *flags, "--output_dir", str(folder), "--workers", "2")
    begun = folder / "logs" / "filter" / "logs"
    while process.poll() is None and not (begun.is_dir() and any(begun.iterdir())):
        time.sleep(0.005)
    worker = next(worker for worker in processes_with(str(folder)) if worker != process.pid)
    os.kill(worker, signal.SIGKILL)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 2, out
    assert out.strip().splitlines()[-1].startswith("error: a worker died, most likely for lack of memory")
    assert "Traceback" not in out


def test_on_a_terminal_with_three_workers_it_counts_the_tasks_and_comes_to_the_same(flags, undisturbed, root, tmp_path):
    """Workers that were forked while a bar held its lock once waited for ever."""
    import pty

    script = str(root / "recipes" / "clean_corpus.py")
    arguments = [script, *flags, "--output_dir", str(tmp_path / "out"), "--workers", "3"]
    process, terminal = pty.fork()
    if process == 0:
        os.execv(sys.executable, [sys.executable, *arguments])
    shown, end = b"", time.monotonic() + 90
    while time.monotonic() < end:
        try:
            shown += os.read(terminal, 4096)
        except OSError:  # the terminal is closed at the other end
            break
    else:
        os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(status) == 0, shown
    assert b"filter: 3 of 5 tasks, 0:00:0" in shown
    assert b"documents kept" in shown
    assert b"5 noted: file ends early; its last line is cut" in shown
    assert result(tmp_path / "out") == undisturbed
    assert not (tmp_path / "out" / "work").exists()
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["counts"]["read"]["documents"] > 500


@pytest.mark.slow
def test_killed_in_every_stage_and_run_again_the_result_is_the_same(
    flags, undisturbed, start_recipe, said_by_recipe, tmp_path
):
    """kill -9 as soon as a stage has begun, then on with one worker more or one less."""
    folder = tmp_path / "out"
    arguments = [*flags, "--output_dir", str(folder), "--workers"]
    for number, stage in enumerate(STAGES):
        process = start_recipe("clean_corpus", *arguments, str(1 + number % 2))
        begun = folder / "logs" / stage / "logs"
        while process.poll() is None and not (begun.is_dir() and any(begun.iterdir())):
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert not (folder / "mixture.json").exists(), stage
    out = said_by_recipe("clean_corpus", *arguments, "2")
    assert not processes_with(str(folder)), "a killed run left workers behind"
    assert result(folder) == undisturbed
    assert "filter: done" in out


def _is_free(lock) -> bool:
    """Whether nobody holds a lock; it is given back at once."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    fcntl.flock(lock, fcntl.LOCK_UN)
    return True


@pytest.mark.slow
def test_killed_at_any_time_the_result_is_the_same(flags, undisturbed, start_recipe, said_by_recipe, tmp_path):
    """Also while it replaces another run: with what is left of that the new one must not be mixed up."""
    folder = tmp_path / "out"
    arguments = [*flags, "--output_dir", str(folder), "--overwrite_output_dir", "true"]
    said_by_recipe("clean_corpus", *arguments, "--near_duplicates", "false")
    rng = random.Random(0)
    for seconds in (0, 0.002, 0.02, *(rng.uniform(0, 5) for _ in range(3))):
        process = start_recipe("clean_corpus", *arguments)
        with (folder / ".lock").open("a") as lock:
            while process.poll() is None and _is_free(lock):  # until the run has taken the folder, and begun
                time.sleep(0.001)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        process.kill()
        process.wait()
    said_by_recipe("clean_corpus", *arguments[:-2])
    assert result(folder) == undisturbed


@pytest.mark.slow
def test_interrupted_files_that_were_half_written_are_written_anew(flags, undisturbed, said_by_recipe, tmp_path):
    """A kill leaves a stage's file cut short and its task without a mark of completion."""
    folder = tmp_path / "out"
    arguments = ["clean_corpus", *flags, "--output_dir", str(folder), "--keep_work", "true"]
    said_by_recipe(*arguments)
    (folder / "mixture.json").unlink()
    for stage in ("filter", "finish", "tally", "report"):
        (folder / "logs" / stage / "completions" / "00000").unlink()
    for path in [*folder.rglob("00000.jsonl.zst"), folder / "report.json"]:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    said_by_recipe(*arguments)
    assert result(folder) == undisturbed


@pytest.mark.slow
def test_ray_gives_the_same_bytes(few_stages, undisturbed_few_stages, root, tmp_path):
    pytest.importorskip("ray", reason="the extra nec13b[ray] is not installed")
    options = json.dumps({"mem_per_cpu_gb": 0.1, "tasks_per_job": 5})  # a job takes seconds to begin
    executor = ["--executor", "ray", "--workers", "2", "--executor_options", options]
    command([*few_stages, "--output_dir", str(tmp_path / "ray"), *executor], root)
    assert result(tmp_path / "ray") == undisturbed_few_stages


@pytest.fixture
def slurm(tmp_path) -> tuple[Path, str]:
    """(folder of the submitted jobs, PATH on which Slurm's commands are stand-ins)."""
    bin_folder, log = tmp_path / "bin", tmp_path / "jobs"
    bin_folder.mkdir()
    log.mkdir()
    stand_in = Path(__file__).parent / "sbatch_stand_in.py"
    scripts = {
        "sbatch": f'#!/bin/bash\nexec "{sys.executable}" "{stand_in}" "{log}" "$@"\n',
        "srun": '#!/bin/bash\nwhile [[ "$1" == -* ]]; do [[ "$1" == -n ]] && shift; shift; done\nexec "$@"\n',
        "scontrol": "#!/bin/bash\necho node1\n",
    }
    for name, content in scripts.items():
        path = bin_folder / name
        path.write_text(content)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return log, os.pathsep.join([str(bin_folder), str(Path(sys.executable).parent), os.environ["PATH"]])


@pytest.mark.slow
def test_slurm_gives_the_same_bytes(few_stages, undisturbed_few_stages, root, tmp_path, slurm):
    """The generated jobs are what they should be, and running them brings about the same corpus."""
    log, path = slurm
    options = {"partition": "cpu", "time": "02:00:00", "mem_per_cpu_gb": 4, "tasks_per_job": 100,
               "sbatch_args": {"account": "nlp"}}  # fmt: skip
    executor = ["--executor", "slurm", "--workers", "16", "--executor_options", json.dumps(options)]
    out = command([*few_stages, "--output_dir", str(tmp_path / "out"), *executor], root, PATH=path)
    assert f"handed to Slurm; the report will be {tmp_path}/out/report.html" in out
    jobs = [job for job in sorted(log.glob("*.slurm")) if "launch_pickled_pipeline" in job.read_text()]
    names = [line.split("=")[1] for job in jobs for line in job.read_text().splitlines() if "job-name" in line]
    assert names[0] == "nec13b-filter"
    assert names[-1] == "nec13b-report"
    assert len(names) == 6
    first = jobs[0].read_text()
    for line in ("--partition=cpu", "--time=02:00:00", "--mem-per-cpu=4G", "--account=nlp", "--array=0-0%16"):
        assert f"#SBATCH {line}" in first, line
    assert f"source {sys.prefix}/bin/activate" in first
    second = jobs[1].with_suffix(".args").read_text()
    assert f"--dependency=afterok:{int(jobs[0].stem)}" in second
    assert result(tmp_path / "out") == undisturbed_few_stages


def test_the_tiny_preset_cleans_the_sample(run_recipe, small_corpus, tmp_path):
    outcome = run_recipe("clean_corpus", "--output_dir", tmp_path / "out")
    assert outcome.status == 0, outcome.err
    assert "documents kept" in outcome.out
    assert "python recipes/train_tokenizer.py --corpus" in outcome.out
    record = (tmp_path / "out" / "run.json").read_bytes()
    again = run_recipe("clean_corpus", "--output_dir", tmp_path / "out")
    assert (tmp_path / "out" / "run.json").read_bytes() == record  # still that of the run
    more = ["--corpus", small_corpus, "--overwrite_output_dir", "true"]
    assert run_recipe("clean_corpus", "--output_dir", tmp_path / "out", *more).status == 0
    replaced = json.loads((tmp_path / "out" / "run.json").read_text())
    assert replaced["config"]["corpus"] == [str(small_corpus)]
    assert again.out == outcome.out[outcome.out.index("\n\n") + 1 :]  # without the stages


def write_model_of_languages(folder: Path) -> None:
    """A fastText model of the wrong kind, with a card that fits it."""
    import fasttext

    from nec13b.corpus.quality import write_card

    folder.mkdir()
    (folder / "text.txt").write_text("__label__ja あ い\n__label__en a b\n" * 20, encoding="utf-8")
    model = fasttext.train_supervised(str(folder / "text.txt"), verbose=0, bucket=100, dim=4, thread=10)
    model.save_model(str(folder / "model.bin"))
    write_card(folder, {"domain": "ja", "keep_words": False, "threshold": 0.5})


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--corpus", "nowhere.jsonl"], "corpus path nowhere.jsonl does not exist"),
        (["--qualitty", "x"], "unknown flag --qualitty; did you mean quality?"),
        (["--rules", "nowhere.yaml"], "cannot read the rules nowhere.yaml"),
        (["--quality", "."], "quality.json does not exist"),
        (["--rules", "{rules}"], "rules.yaml: ja: unknown rule 'charakters'; did you mean characters?"),
        (["--quality", "{model}"], "tells __label__en, __label__ja apart, not clean and dirty text"),
    ],
)
def test_a_mistake_ends_in_one_line(run_recipe, tmp_path, flags, said):
    places = {"rules": tmp_path / "rules.yaml", "model": tmp_path / "model"}
    places["rules"].write_text("ja:\n  charakters: {min: 3}\n")
    write_model_of_languages(places["model"])
    flags = [flag.format(**places) for flag in flags]
    outcome = run_recipe("clean_corpus", "--output_dir", tmp_path / "out", *flags)
    assert outcome.status == 2
    assert said in outcome.err
    assert outcome.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_explain_says_what_every_step_says(run_recipe, tmp_path):
    page = tmp_path / "page.txt"
    lines = [
        "ホーム > 会社概要",
        "お問い合わせ",
        "激安通販！送料無料！今すぐクリック",
        "電話03-1234-5678",
        "ランキング…",
    ]
    page.write_text("\n".join(lines), encoding="utf-8")
    outcome = run_recipe("clean_corpus", "--explain", page)
    assert outcome.status == 0, outcome.err
    lines = {" ".join(line.split()[1:2]): line for line in outcome.out.splitlines() if line[:5].strip()}
    assert lines["characters"].startswith("DROPS")
    assert "2 lines cut: ホーム > 会社概要 | お問い合わせ" in lines["boilerplate"]
    assert "送料無料" in lines["advertisement_word_share"]
    assert "1 phone" in outcome.out
    assert outcome.out.rstrip().endswith("dropped by characters: 37, at least 100")
    code = run_recipe("clean_corpus", "--explain", __file__)
    assert "longest_line" in code.out
    assert code.out.rstrip().endswith("kept, if it is no duplicate")
    (tmp_path / "rows.jsonl").write_text(json.dumps({"body": "きょうは雨だった。", "domain": "news"}) + "\n")
    of_row = run_recipe("clean_corpus", "--corpus", "nowhere", "--explain", f"{tmp_path}/rows.jsonl,text_field=body")
    assert "9 characters" in of_row.out
    assert "there is no such file" in run_recipe("clean_corpus", "--explain", tmp_path / "nowhere.txt").err


def test_dirt_quality_cleansing_tokens_and_mixture_fit_together(run_recipe, tmp_path):
    """The way of the demo up to packed tokens, each recipe twice: the second call has nothing to do."""
    dirty, quality, clean, data = (str(tmp_path / name) for name in ("dirty", "quality", "clean", "data"))
    for again in (False, True):
        outcome = run_recipe("dirty_corpus", "--output_dir", dirty, "--corpus", "sample,domain=ja")
        assert outcome.status == 0, outcome.err
        assert ("holds this corpus already" in outcome.out) == again
        outcome = run_recipe("train_quality_classifier", "--output_dir", quality, "--epochs", "60")
        assert outcome.status == 0, outcome.err
        assert ("training on" in outcome.out) != again
        outcome = run_recipe("clean_corpus", "--corpus", dirty, "--quality", quality, "--output_dir", clean)
        assert outcome.status == 0, outcome.err
    assert "trained for" not in outcome.err
    for name in ("README.md", "quality.png", "run.json", "quality.json", "model.bin"):
        assert (tmp_path / "quality" / name).is_file(), name
    report = json.loads((tmp_path / "clean" / "report.json").read_text())
    assert report["scores"]["kept/ja"]
    assert report["thresholds"]["ja"] > 0
    outcome = run_recipe("pack_tokens", "--corpus", clean, "--output_dir", data, "--vocab_size", "600")
    assert outcome.status == 0, outcome.err
    index = json.loads((tmp_path / "data" / "tokens" / "index.json").read_text())
    assert index["mixture"]["proportions"] == {"ja": 1.0}
    kept = {"train": 0, "held_out": 0}
    for part in report["kept"]["parts"]:
        kept[part["split"]] += part["documents"]
    assert {split: index["streams"][f"{split}/ja"]["documents"] for split in kept} == kept
    mismatch = run_recipe("train_quality_classifier", "--output_dir", quality, "--epochs", "61")
    assert "was made of another corpus or with other settings" in mismatch.err
    wrong = run_recipe("clean_corpus", "--corpus", dirty, "--quality", f"en={quality}", "--output_dir", tmp_path / "x")
    assert "was trained for domain ja, not for en" in wrong.err
