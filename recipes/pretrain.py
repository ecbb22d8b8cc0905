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

from nec13b.corpus.mixture import resolve_proportions
from nec13b.pretraining import HeldOutSequences, PackedSequences, PretrainConfig
from nec13b.pretraining.dry_run import pretraining_dry_run
from nec13b.pretraining.messages import lines_of_domains
from nec13b.pretraining.preparation import Prepared
from nec13b.pretraining.training_run import Stage, TrainingData, run_training
from nec13b.recipe_config import parse_recipe_config, run_recipe

NEXT_STEPS = """\
Next: your own text   accelerate launch recipes/pretrain.py --corpus "your/*.jsonl.gz" --output_dir runs/mine
      another shape   accelerate launch recipes/pretrain.py --hidden_size 256 --output_dir runs/wider
      the 13B recipe  recipes/configs/13b/pretrain.yaml, accelerate_configs/README.md"""


def main() -> None:
    config = parse_recipe_config(PretrainConfig, __file__, dry_run=pretraining_dry_run)
    run_training(Stage("pretrain", sequences_of, NEXT_STEPS), config)


def sequences_of(config: PretrainConfig, prepared: Prepared) -> TrainingData:
    """The corpus in the proportions of the mixture, and what was held out of it."""
    shards, across = prepared.shards, config.attend_across_documents
    proportions = resolve_proportions(config.mixture or shards.proportions, list(shards.streams["train"]))
    sequences = config.max_steps * config.sequences_per_batch
    train = PackedSequences(
        shards, config.sequence_length, proportions, config.seed, sequences, prepared.plan, across, domain_ids=True
    )
    held_out = {
        domain: HeldOutSequences(stream, config.sequence_length, config.eval_sequences, across)
        for domain, stream in sorted(shards.streams["held_out"].items())
        if stream.tokens >= config.sequence_length
    }
    lines = lines_of_domains(shards, proportions, train, held_out)
    return TrainingData(train, held_out, lines, {"mixture": proportions}, train.order.epochs(sequences))


if __name__ == "__main__":
    run_recipe(main)
