# The course's commands. `make` alone lists them; CONTRIBUTING.md says how they fit together.
# Written for GNU make 3.81 and BSD tools too, so that macOS runs it as it is.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

# PYTHON names the interpreter that makes .venv; empty picks a suitable one.
PYTHON ?=
PORT ?= 8000
PARTS ?=
MODELS ?=
EXERCISES ?=
COURSE ?= course
SUBMISSIONS ?=
STUDENTS ?=
HIDDEN ?=
UNSAFE ?=
SOLUTIONS ?= shown
NOTEBOOKS ?= $(shell find book -name '*.ipynb' -not -path '*/.*')

BIN := .venv/bin
READY := .venv/.ready

# The pages show Japanese whatever the locale, and no other Python's modules may reach .venv.
export PYTHONUTF8 := 1
export PYTHONNOUSERSITE := 1
unexport PYTHONPATH
unexport PYTHONHOME

# All that the built book depends on. The stamp carries a checksum of the names, so that a page
# which was removed or renamed makes the book anew as a changed one does.
SOURCES := $(sort $(shell find _config.yml _toc.yml book src/lesson_tf -type f \
	-not -path '*/.*' -not -path '*/__pycache__/*' -not -path '*/node_modules/*' \
	-not -path '*/run_notebooks.py' -not -name '*~' 2>/dev/null | grep '^[A-Za-z0-9_./-]*$$'))
BUILT := _build/.built-$(firstword $(shell echo '$(SOURCES) $(SOLUTIONS)' | cksum))

.PHONY: help book serve lab test lint bench models experiments notebooks assignments grade slides picture lock clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' Makefile

book: $(BUILT) ## build the pages, warnings are errors (SOLUTIONS=hidden leaves them out)
	@echo "The book is in $(CURDIR)/_build/html/index.html; make serve shows it."

serve: $(BUILT) ## show the book on localhost (PORT=8000)
	@$(BIN)/python make/serve.py _build/html $(PORT)

lab: $(READY) ## open the notebooks in JupyterLab, the exercises with blanks
	@$(BIN)/python -m lesson_tf.grading blanks exercises
	@$(BIN)/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) book/en/intro.ipynb

test: $(READY) ## run every part of the tests (PARTS="unit page" runs some)
	@$(BIN)/python make/run_tests.py $(PARTS)

lint: $(READY) ## check the style of the code
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

bench: $(BUILT) ## measure the package against torch.nn and tokenizers, explorers, grading
	$(BIN)/python tests/bench.py
	$(BIN)/python tests/page/bench.py
	$(BIN)/python tests/grading/bench.py

models: $(READY) ## train the models that ship with the course (MODELS=translator trains one)
	$(BIN)/python -m lesson_tf.train_models $(MODELS)

experiments: $(READY) ## measure what the lessons state (QUICK=1 for a trial)
	$(BIN)/python -m lesson_tf.experiments $(EXPERIMENTS) $(if $(QUICK),--quick)

notebooks: $(READY) ## execute the notebooks in place, store text outputs only (NOTEBOOKS=...)
	$(BIN)/python book/run_notebooks.py $(NOTEBOOKS)

assignments: $(READY) ## make assignments (EXERCISES="attention:1,2 flow" STUDENTS=csv)
	@$(BIN)/python -m lesson_tf.grading assignments --course '$(COURSE)' \
		--exercises '$(EXERCISES)' $(if $(STUDENTS),--students '$(STUDENTS)')

grade: $(READY) ## grade what came in (SUBMISSIONS=folder STUDENTS=csv HIDDEN=folder)
	@$(BIN)/python -m lesson_tf.grading grade '$(SUBMISSIONS)' --course '$(COURSE)' \
		$(if $(STUDENTS),--students '$(STUDENTS)') $(if $(HIDDEN),--hidden '$(HIDDEN)') \
		$(if $(filter 1,$(UNSAFE)),--unsafe)

slides: $(BUILT) ## make slides of the figures, a self-contained file a chapter, for teaching
	@$(BIN)/python make/slides.py _build/html _build/slides

picture: $(BUILT) ## draw the README's picture of a page anew
	$(BIN)/python make/picture.py _build/html/book/en/attention/self_attention.html docs/page.png

lock: $(READY) ## write constraints.txt anew from requirements.txt
	@sh make/lock.sh

clean: ## remove the built pages, checkpoints and all caches (.venv stays)
	rm -rf _build .pytest_cache .hypothesis .ruff_cache
	find . -path ./.venv -prune -o -type d \( -name __pycache__ -o -name .ipynb_checkpoints \) \
		-exec rm -rf {} +

$(READY): requirements.txt constraints.txt pyproject.toml make/set_up.sh
	@PYTHON='$(PYTHON)' sh make/set_up.sh

# A failed build may have remembered pages whose warnings it would not repeat: every build reads
# all pages, and only the executed notebooks are kept. The stamp comes last.
$(BUILT): $(READY) $(SOURCES)
	@rm -rf _build/.built-* _build/.doctrees _build/html
	@SOLUTIONS=$(SOLUTIONS) $(BIN)/jupyter-book build . -W -n --keep-going || { sh make/explain_build.sh; exit 1; }
	@touch $@
