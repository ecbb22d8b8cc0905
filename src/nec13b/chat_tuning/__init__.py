"""From a base model to an assistant: ChatML dialogues, of which the assistant's words are learned."""
