FORMATS = ("jsonl", "datasets", "argilla", "label_studio")
