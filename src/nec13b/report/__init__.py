"""One page of a whole run: what each stage made of what, and the figures of the paper."""
