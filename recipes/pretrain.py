"""Pre-training: from a corpus to a base model (section 2(3) of the paper).

Reads    a corpus (the built-in sample, files, Hub data sets), or packed tokens and their tokenizer
Writes   <output_dir>/model        the trained model and its tokenizer, for from_pretrained
         <output_dir>/loss.png, samples.md, metrics.jsonl, run.json
         <output_dir>/checkpoint-* to go on from; tokenizer/, tokens/ and initial/ where they were made here

Tiny     accelerate launch recipes/pretrain.py
         accelerate launch recipes/pretrain.py --corpus "data/*.jsonl.gz" --output_dir runs/mine
13B      accelerate launch --config_file accelerate_configs/fsdp_64x8.yaml recipes/pretrain.py \\
             --config recipes/configs/13b/pretrain.yaml --tokenizer runs/13b/tokenizer --tokens runs/13b/tokens

The same command continues a run that was interrupted, from its last whole checkpoint, along the same loss curve.
"""

import contextlib
import time
from pathlib import Path

import torch

from nec13b.corpus.mixture import resolve_proportions
from nec13b.pretraining import HeldOutSequences, PackedSequences, PretrainConfig, SequenceCollator
from nec13b.pretraining.callbacks import read_metrics
from nec13b.pretraining.checkpoints import checkpoint_to_resume, is_finished
from nec13b.pretraining.figures import draw_loss_curve, held_out_curves
from nec13b.pretraining.gpus import memory_bytes, peak_memory_bytes
from nec13b.pretraining.kernels import apply_kernels, choose_attention
from nec13b.pretraining.messages import say_what_came_out, say_what_will_run
from nec13b.pretraining.plan import plan_of_run
from nec13b.pretraining.plan_page import Measured, compare_with_plan, out_of_memory, short_plan
from nec13b.pretraining.preparation import (
    claim_output_dir,
    continue_sample_prompts,
    load_initial_model,
    number_of_parameters,
    prepare,
    use_cpu_threads,
)
from nec13b.pretraining.samples import write_samples
from nec13b.pretraining.trainer import PretrainTrainer, train_to_the_end
from nec13b.recipe_config import parse_recipe_config, run_recipe
from nec13b.run_record import RunRecord, alone_in


def main() -> None:
    config = parse_recipe_config(PretrainConfig, __file__)
    with alone_in(Path(config.output_dir)) if config.process_index == 0 else contextlib.nullcontext():
        pretrain(config)


def pretrain(config: PretrainConfig) -> None:
    output, is_main = Path(config.output_dir), config.process_index == 0
    record = RunRecord("pretrain", config, config.seed)
    use_cpu_threads(config)
    attention = choose_attention(config)
    with config.main_process_first(local=False):
        if is_main:
            claim_output_dir(output, config.overwrite_output_dir)
        prepared = prepare(config)
    shards, tokenizer = prepared.shards, prepared.tokenizer.tokenizer
    record.update("timings_seconds", preparation=record.elapsed())

    proportions = resolve_proportions(config.mixture or shards.proportions, list(shards.streams["train"]))
    sequences = config.max_steps * config.sequences_per_batch
    across = config.attend_across_documents
    train = PackedSequences(
        shards, config.sequence_length, proportions, config.seed, sequences, prepared.plan, across, domain_ids=True
    )
    held_out = {
        domain: HeldOutSequences(stream, config.sequence_length, config.eval_sequences, across)
        for domain, stream in sorted(shards.streams["held_out"].items())
        if stream.tokens >= config.sequence_length
    }
    held = memory_bytes(config.device)
    model = load_initial_model(config, prepared)
    plan = plan_of_run(config, model.config)
    parameters = number_of_parameters(model)
    decisive = {
        "tokenizer": prepared.tokenizer.fingerprint,
        "tokens": shards.fingerprint,
        "mixture": proportions,
        "model": config.model or f"random weights, {parameters:,} parameters",
        **config.decisive_settings(),
    }
    checkpoint, passed_over = checkpoint_to_resume(output, config.resume_from_checkpoint, decisive)
    if is_finished(output, checkpoint, config.max_steps):
        if is_main:
            print(f"{output} holds this run, complete; --overwrite_output_dir runs it again")
            say_what_came_out(output, held_out_curves(read_metrics(output)), model.config.vocab_size)
        return
    if is_main:
        print(*passed_over, sep="\n", end="\n" if passed_over else "")
        say_what_will_run(config, shards, proportions, train, held_out, parameters, checkpoint)
        print(*short_plan(plan), sep="\n")
    before = []
    if is_main and config.sample_prompts:
        before = continue_sample_prompts(config, prepared)

    def trainer_of(model, say: bool) -> PretrainTrainer:
        lines = apply_kernels(model, config, config.layout.why_whole_logits())
        print(*lines if say else (), sep="\n", end="\n" if say else "", flush=True)
        return PretrainTrainer(
            model=model,
            args=config,
            decisive=decisive,
            domains=train.domains,
            tokens_per_second_at_best=plan.compute.tokens_per_second_at_best,
            train_dataset=train,
            eval_dataset=held_out or None,
            data_collator=SequenceCollator(attention),
            processing_class=tokenizer,
        )

    started = time.monotonic()
    try:
        trainer = train_to_the_end(
            trainer_of(model, say=is_main),
            checkpoint,
            find_checkpoint=lambda: checkpoint_to_resume(output, None, decisive)[0],
            begin_again=lambda: trainer_of(load_initial_model(config, prepared), say=False),
        )
    except torch.OutOfMemoryError as error:
        raise out_of_memory(plan) from error
    step, seconds = trainer.state.global_step, time.monotonic() - started
    if step < config.max_steps:
        if is_main:
            print(f"stopped at step {step:,} of {config.max_steps:,}; the same command goes on from there")
        raise SystemExit(130)
    if not trainer.was_evaluated(step):
        trainer.evaluate()

    measured = Measured(peak_memory_bytes(config.device) - held, trainer.tokens_per_second())
    trainer.save_whole_model(output / "model")
    if not is_main:
        return
    history = trainer.state.log_history
    draw_loss_curve(output / "loss.png", history, config.tokens_per_batch, model.config.vocab_size)
    if config.sample_prompts:
        after = continue_sample_prompts(config, prepared.with_model(output / "model"))
        write_samples(output / "samples.md", config.sample_prompts, before, after)

    curves = held_out_curves(history)
    record.update(
        "inputs", tokenizer=prepared.tokenizer.fingerprint, tokens=shards.fingerprint, model=prepared.model_path
    )
    record.update("counts", parameters=parameters, steps=step, tokens=step * config.tokens_per_batch)
    record.update("counts", streams=shards.counts(), rejected=prepared.rejected, epochs=train.order.epochs(sequences))
    record.update("counts", left_out={str(number): why for number, why in trainer.left_out.steps.items()})
    record.update("timings_seconds", training=round(seconds, 2))
    record.update("metrics", held_out_loss={domain: curve[-1][1] for domain, curve in curves.items()})
    record.update("metrics", held_out_loss_at_start={domain: curve[0][1] for domain, curve in curves.items()})
    compared, figures = compare_with_plan(plan, measured)
    record.update("plan", **plan.to_dict(), **figures)
    record.update("machine", processes=config.world_size, device=str(config.device), resumed_from=checkpoint)
    record.write(output)
    print(*compared, sep="\n")
    say_what_came_out(output, curves, model.config.vocab_size)


if __name__ == "__main__":
    run_recipe(main)
