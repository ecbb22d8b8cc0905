"""A dirty corpus out of a clean one, with known kinds of dirt: to see the cleansing at work, and to measure it.

Reads    a clean corpus (the built-in sample, files, Hub data sets)
Writes   <output_dir>/<domain>.jsonl.zst   the corpus; the field `kind` of each row says what it is
         <output_dir>/run.json             how many of each

Tiny     python recipes/dirty_corpus.py
         python recipes/dirty_corpus.py --corpus "books/*.jsonl.gz" --dirty_share 0.5
"""

from pathlib import Path

from nec13b.corpus import corpus_identity, parse_sources, read_documents
from nec13b.corpus.dirty_corpus import DirtyCorpusConfig, write_dirty_corpus
from nec13b.corpus.dry_run import dirtying_dry_run
from nec13b.recipe_config import parse_recipe_config, run_recipe
from nec13b.run_record import RunRecord, claim_made_dir, write_json


def main() -> None:
    config = parse_recipe_config(DirtyCorpusConfig, __file__, dry_run=dirtying_dry_run)
    output = Path(config.output_dir)
    sources = parse_sources(config.corpus)
    request = {"corpus": corpus_identity(sources), "settings": config}
    note = claim_made_dir(output, request, config.overwrite_output_dir)
    if note is None:
        print(f"{output} holds this corpus already")
        return
    record = RunRecord("dirty_corpus", config, config.seed)
    counts = write_dirty_corpus(read_documents(sources, None, config.max_document_characters), config)
    record.update("counts", **{domain: dict(kinds) for domain, kinds in counts.items()})
    record.write(output)
    write_json(*note)
    for domain, kinds in counts.items():
        print(f"{domain}: " + ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common()))
    print(f"Next: python recipes/clean_corpus.py --corpus {output}")


if __name__ == "__main__":
    run_recipe(main)
