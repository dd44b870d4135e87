# make run · make test · make notebook: each sets up what it needs, in .venv, the first time.
PYTHON ?= python3
BIN := .venv/bin
# For example: make run PARAMETERS="-p model ResNet18 -p raw_data_path my_images.zip"
PARAMETERS ?=

.PHONY: run notebook test lint clean

run: .venv/run  ## train and test on the images in data/raw, or on synthetic ones
	$(BIN)/papermill fit_char.ipynb record/fit_char.ipynb --no-progress-bar --stdout-file - --stderr-file - $(PARAMETERS)
	@echo "The notebook with its figures: record/fit_char.ipynb"

notebook: .venv/run  ## open the notebook
	$(BIN)/jupyter lab fit_char.ipynb

test: .venv/dev  ## check the style, then run every test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pytest

.venv/run: requirements.txt | .venv
	$(BIN)/pip install --upgrade -r requirements.txt
	@touch $@

.venv/dev: requirements-dev.txt requirements.txt | .venv
	$(BIN)/pip install --upgrade -r requirements-dev.txt
	@touch $@

.venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "fit_char needs Python 3.10 or newer: set PYTHON=…")'
	$(PYTHON) -m venv .venv || (rm -rf .venv; echo "On Debian and Ubuntu: apt install python3-venv"; exit 1)

clean:  ## remove what was installed; data, records and checkpoints stay
	rm -rf .venv .pytest_cache .ruff_cache
