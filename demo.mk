# The whole way of the paper at toy scale, a target a stage: from raw text to an aligned, evaluated model and one page.
# A stage whose record is newer than what it was made from is skipped; one that was interrupted goes on where it was.
TINY := recipes/configs/tiny
TINY_EVALUATION := evaluation/configs/tiny
RUN := $(BIN)/python
LAUNCH := $(BIN)/accelerate launch --quiet --config_file accelerate_configs/cpu.yaml --num_cpu_threads_per_process 1
STAGES := dirty quality clean tokenizer packed base long dialogues chat amplified candidates annotation preferences \
    aligned side_by_side export dataset
FIGURES := loss_by_position jglue rakuda

.PHONY: demo
demo: $(DEMO)/report/run.json
	@echo "The page of all of it: $(<D)/report.html"

# --- corpus, sections 2(2) and 3 of the paper: clean text is made dirty as the web would bring it, and cleaned

$(DEMO)/dirty/run.json: $(TINY)/dirty_corpus.yaml
	$(RUN) recipes/dirty_corpus.py --output_dir $(@D)
	@touch $@

$(DEMO)/quality/run.json: $(TINY)/train_quality_classifier.yaml
	$(RUN) recipes/train_quality_classifier.py --output_dir $(@D)
	@touch $@

$(DEMO)/clean/run.json: $(DEMO)/dirty/run.json $(DEMO)/quality/run.json $(TINY)/clean_corpus.yaml
	$(RUN) recipes/clean_corpus.py --corpus $(DEMO)/dirty,label=sample --quality $(DEMO)/quality --output_dir $(@D) \
	    --workers 2
	@touch $@

# --- the base model, sections 2(1) to 2(4)

$(DEMO)/tokenizer/run.json: $(DEMO)/clean/run.json $(TINY)/train_tokenizer.yaml
	$(RUN) recipes/train_tokenizer.py --corpus $(DEMO)/clean --output_dir $(@D) --report
	@touch $@

$(DEMO)/packed/run.json: $(DEMO)/clean/run.json $(DEMO)/tokenizer/run.json $(TINY)/pack_tokens.yaml
	$(RUN) recipes/pack_tokens.py --corpus $(DEMO)/clean --tokenizer $(DEMO)/tokenizer --output_dir $(@D)
	@touch $@

$(DEMO)/base/run.json: $(DEMO)/packed/run.json $(TINY)/pretrain.yaml
	$(LAUNCH) recipes/pretrain.py --tokenizer $(DEMO)/tokenizer --tokens $(DEMO)/packed/tokens --output_dir $(@D)
	@touch $@

$(DEMO)/long/run.json: $(DEMO)/base/run.json $(TINY)/extend_context.yaml
	$(LAUNCH) recipes/extend_context.py --model $(DEMO)/base/model --tokens $(DEMO)/packed/tokens --output_dir $(@D)
	@touch $@

# --- the chat model, section 4

$(DEMO)/dialogues/run.json: $(DEMO)/tokenizer/run.json $(TINY)/prepare_dialogues.yaml
	$(RUN) recipes/prepare_dialogues.py --tokenizer $(DEMO)/tokenizer --output_dir $(@D)
	@touch $@

$(DEMO)/chat/run.json: $(DEMO)/long/run.json $(DEMO)/dialogues/run.json $(TINY)/chat_tune.yaml
	$(LAUNCH) recipes/chat_tune.py --model $(DEMO)/long/model --dialogues $(DEMO)/dialogues --output_dir $(@D)
	@touch $@

$(DEMO)/amplified/run.json: $(DEMO)/chat/run.json $(TINY)/augment_dialogues.yaml
	$(RUN) recipes/augment_dialogues.py --model $(DEMO)/chat/model --seeds $(DEMO)/dialogues/train.jsonl --output_dir $(@D)
	@touch $@

# --- alignment, section 5: pairs for people to compare; the judgements are recorded ones, of pairs that come with nec13b

$(DEMO)/candidates/run.json: $(DEMO)/chat/run.json $(TINY)/sample_candidates.yaml
	$(RUN) recipes/sample_candidates.py --models $(DEMO)/chat/model,temperature=0.5 $(DEMO)/chat/model,temperature=1.0 \
	    --output_dir $(@D)
	@touch $@

$(DEMO)/annotation/run.json: $(TINY)/annotate_preferences.yaml
	$(RUN) recipes/annotate_preferences.py --pairs sample --take_in sample --output_dir $(@D)
	@touch $@

$(DEMO)/preferences/run.json: $(DEMO)/annotation/run.json $(DEMO)/tokenizer/run.json $(TINY)/prepare_preferences.yaml
	$(RUN) recipes/prepare_preferences.py --preferences sample $(DEMO)/annotation --tokenizer $(DEMO)/tokenizer \
	    --output_dir $(@D)
	@touch $@

$(DEMO)/aligned/run.json: $(DEMO)/chat/run.json $(DEMO)/preferences/run.json $(TINY)/align.yaml
	$(LAUNCH) recipes/align.py --model $(DEMO)/chat/model --preferences $(DEMO)/preferences --output_dir $(@D)
	@touch $@

# --- evaluation, section 6: figures 2, 3 and 4

$(DEMO)/loss_by_position/run.json: $(DEMO)/long/run.json $(TINY_EVALUATION)/loss_by_position.yaml
	$(RUN) evaluation/loss_by_position.py --models base=$(DEMO)/base/model long=$(DEMO)/long/model \
	    --tokens $(DEMO)/packed/tokens --output_dir $(@D)
	@touch $@

$(DEMO)/jglue/run.json: $(DEMO)/aligned/run.json $(TINY_EVALUATION)/jglue.yaml
	$(RUN) evaluation/jglue.py --models base=$(DEMO)/base/model long=$(DEMO)/long/model chat=$(DEMO)/chat/model \
	    aligned=$(DEMO)/aligned/model --output_dir $(@D)
	@touch $@

$(DEMO)/rakuda/run.json: $(TINY_EVALUATION)/rakuda_judge.yaml
	$(RUN) evaluation/rakuda_judge.py --output_dir $(@D)
	@touch $@

$(DEMO)/side_by_side/run.json: $(DEMO)/aligned/run.json $(TINY_EVALUATION)/side_by_side.yaml
	$(RUN) evaluation/side_by_side.py --models chat=$(DEMO)/chat/model aligned=$(DEMO)/aligned/model \
	    --preferences $(DEMO)/preferences --output_dir $(@D)
	@touch $@

# --- release: the model for everybody's tools, with its scores on the card, and the corpus as a data set

$(DEMO)/export/run.json: $(DEMO)/aligned/run.json $(DEMO)/jglue/run.json $(DEMO)/side_by_side/run.json $(TINY)/export.yaml
	$(RUN) recipes/export.py --model $(DEMO)/aligned/model --evaluations $(DEMO)/jglue $(DEMO)/side_by_side \
	    --output_dir $(@D)
	@touch $@

$(DEMO)/dataset/run.json: $(DEMO)/clean/run.json $(TINY)/publish_dataset.yaml
	$(RUN) recipes/publish_dataset.py --dataset $(DEMO)/clean --output_dir $(@D)
	@touch $@

# --- one page of all of it

$(DEMO)/report/run.json: $(STAGES:%=$(DEMO)/%/run.json) $(FIGURES:%=$(DEMO)/%/run.json) $(TINY_EVALUATION)/demo_report.yaml
	$(RUN) evaluation/report.py --config $(TINY_EVALUATION)/demo_report.yaml --output_dir $(@D) \
	    --results $(FIGURES:%=$(DEMO)/%) --stages $(STAGES:%=$(DEMO)/%)
	@touch $@
