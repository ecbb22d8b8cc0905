"""JSQuAD and JCommonsenseQA (JGLUE) as the paper's table 1 has them: questions, prompts, scores, and figure 3."""
