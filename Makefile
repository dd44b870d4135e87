# make run · make test · make notebook: each sets up what it needs, in .venv, the first time.
SHELL := bash
PYTHON ?= python3
BIN := .venv/bin
# For example: make run PARAMETERS="-p model ResNet18 -p raw_data_path my_images.zip"
#              make run PARAMETERS="-p characters 0123456789"   (as text: -p alone would make it a number)
PARAMETERS ?=

.PHONY: run notebook test test-browser clean

run: .venv/run  ## train and test on the images in data/raw, or on synthetic ones
	@$(BIN)/papermill fit_char.ipynb record/fit_char.ipynb --no-progress-bar --log-level WARNING --stdout-file - \
		--stderr-file - $(subst -p characters,-r characters,$(PARAMETERS)) 2> >(grep -v -e "TCP without encryption" -e "Passed unknown parameter" >&2)  # of every kernel; of fields of Config
	@echo "The notebook with its figures: record/fit_char.ipynb"

notebook: .venv/run  ## open the notebook
	$(BIN)/jupyter lab fit_char.ipynb

test: .venv/dev  ## check style and types, then run every test, on all cores
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n auto --dist worksteal

test-browser: .venv/browser  ## run the notebook and the exported page in a headless Chromium, and draw in them
	$(BIN)/pytest tests/browser.py tests/browser_page.py

.venv/run: requirements.txt | .venv
	$(BIN)/pip install --upgrade -r requirements.txt
	@touch $@

.venv/dev: requirements-dev.txt requirements-export.txt requirements.txt | .venv
	$(BIN)/pip install --upgrade -r requirements-dev.txt
	@touch $@

.venv/browser: requirements-browser.txt requirements-dev.txt requirements-export.txt requirements.txt | .venv
	$(BIN)/pip install --upgrade -r requirements-browser.txt
	command -v chromium || command -v google-chrome || if command -v apt-get; then \
		sudo=$$(test $$(id -u) = 0 || echo sudo); $$sudo apt-get update && $$sudo apt-get install -y chromium fonts-wqy-microhei; \
		else echo "Install Chromium or Google Chrome first."; exit 1; fi
	npm pack --pack-destination .venv onnxruntime-web@1.30.0 || (echo "Install Node.js first."; exit 1)
	@touch $@

.venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "fit_char needs Python 3.10 or newer: set PYTHON=…")'
	$(PYTHON) -m venv .venv || (rm -rf .venv; echo "On Debian and Ubuntu: apt install python3-venv"; exit 1)

clean:  ## remove what was installed; data, records and checkpoints stay
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache
