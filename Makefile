# make demo    install, then few-shot classification with the embedded model
# make test    install, then linters, types, import rules and all tests
# make bench   speed against named peers and oracles, one JSON line each
# make reproduce   published figures beside ours; hours
# make ko-mini     train the embedded Korean model by its recipe; two hours on two cores
# make metaicl     meta-train the embedded English model and compare it with itself; half an hour
# make docs    write the generated parts of docs/ and README again

SHELL  := bash
.SHELLFLAGS := -o pipefail -c
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
TOOLS  := $(VENV)/.tools

.PHONY: demo test lint bench reproduce ko-mini metaicl docs clean

# torch goes first and alone, so that nothing else chooses another build of it.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[local,data]'
	touch $@

# What only tests, linters and benchmarks need.
$(TOOLS): $(READY)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group dev \
		--editable '.[report,frames,excel,images,openai,anthropic,prices,serve,transport,ray,tensorboard]'
	touch $@

demo: $(READY)
	$(BIN)/fewshot icl run --task sentiment-ko
	$(BIN)/fewshot icl run --task intents-en --way 5 --shot 1
	$(BIN)/fewshot compare --task intents-ko --way 5 --shot 1 --episodes 10 -l icl:model=ko-mini -l prototypes
	$(BIN)/fewshot icl crosslingual --task intents --from en --to ko --episodes 20

lint: $(TOOLS)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports

test: lint
	$(BIN)/fewshot models pull smollm2 minilm e5-small
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto

bench: $(TOOLS)
	mkdir -p benchmarks/results
	( for name in startup scoring selection registry encoders memory meta training significance report engines hosted killing injection; do \
		$(BIN)/python benchmarks/$$name.py || exit 1; done \
		&& $(BIN)/python benchmarks/scoring.py --model ko-mini --task sentiment-ko --class-split "" --way 2 \
		&& $(BIN)/python benchmarks/shots.py ) \
		| tee benchmarks/results/bench.jsonl
	$(BIN)/python docs/generate.py

# Hours on a laptop; needs the data sets under $$FEWSHOT_DATA.
reproduce: $(READY)
	mkdir -p benchmarks/results
	( $(BIN)/python benchmarks/sinusoid.py && $(BIN)/python benchmarks/text.py && $(BIN)/python benchmarks/text.py --transfer ) \
		| tee benchmarks/results/reproduce.jsonl
	$(BIN)/python benchmarks/family.py | tee benchmarks/results/family.jsonl
	( $(BIN)/python benchmarks/languages.py && $(BIN)/python benchmarks/languages.py --choice --episodes 50 ) \
		| tee benchmarks/results/languages.jsonl
	$(BIN)/python benchmarks/praise.py | tee benchmarks/results/praise.jsonl
	$(BIN)/python benchmarks/coverage.py | tee benchmarks/results/coverage.jsonl
	$(BIN)/python benchmarks/readouts.py | tee benchmarks/results/readouts.jsonl
	( $(BIN)/python benchmarks/transductive.py && $(BIN)/python benchmarks/transductive.py --choice ) \
		| tee benchmarks/results/transductive.jsonl
	$(BIN)/python docs/generate.py

# The packed model goes where the package looks for it; repeat the command after an interruption.
ko-mini: $(READY)
	PYTHONPATH=research/ko-mini $(BIN)/python -m ko_mini --out runs/ko-mini
	rm -rf fewshot/models/ko-mini && cp -r runs/ko-mini/ko-mini fewshot/models/ko-mini

metaicl: $(READY)
	$(BIN)/fewshot icl metatrain -m smollm2 -t banking77 --split 01 --way 5 --shot 1 --words canonical --tune lora \
		--lr 5e-5 --steps 75 --out runs/metaicl \
		--options "batch=8,examples=8,precision=bfloat16,eval_every=25,n_valid=24,among_words=true"
	mkdir -p benchmarks/results
	$(BIN)/python benchmarks/metaicl.py --trained runs/metaicl | tee benchmarks/results/metaicl.jsonl
	$(BIN)/python docs/generate.py

docs: $(READY)
	$(BIN)/python docs/generate.py

clean:
	rm -rf $(VENV) runs dist build *.egg-info
