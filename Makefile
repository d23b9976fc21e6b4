# SPDX-License-Identifier: Apache-2.0
# Front door to the builds: every target sets up what it needs. CMake does the work (CMakePresets.json).
.DEFAULT_GOAL := build
.PHONY: build run test check tsan fuzz bench format tidy tidy-changed install clean help

MODEL ?= default
PORT ?= 8321
SECONDS ?= 60
PREFIX ?= /usr/local
ARGS ?=

build: ## build the release binary, build/release/bin/deepwell
	@scripts/setup.sh build
	@scripts/build.sh release deepwell

run: build ## serve a model on 127.0.0.1:8321 (MODEL=default PORT=8321 ARGS=...)
	@exec scripts/run.sh $(MODEL) --port $(PORT) $(ARGS)

test: ## set up, build and run every check and test
	@exec scripts/test.sh

check: ## only the checks that need no build: format, layers, text
	@scripts/setup.sh test
	@exec scripts/check.sh

tsan: ## the tests of layers that use threads, under ThreadSanitizer
	@scripts/setup.sh test
	@scripts/build.sh tsan
	@exec ctest --preset tsan --no-tests=error -R '^tsan/(base|engine/run|net|server|store)/'

fuzz: ## run every fuzzer (SECONDS=60 each)
	@scripts/setup.sh test
	@scripts/build.sh fuzz fuzzers
	@FUZZ_SECONDS=$(SECONDS) exec ctest --test-dir build/fuzz --output-on-failure

bench: build ## measure a model on this machine (MODEL=default ARGS=...)
	@exec build/release/bin/deepwell bench $(MODEL) $(ARGS)

format: ## format all C++ sources
	@scripts/setup.sh test
	@find src tests fuzz bench -path '*/target/*' -prune -o \( -name '*.cpp' -o -name '*.h' \) -print0 | xargs -0 clang-format -i

tidy: ## clang-tidy over all of src
	@scripts/setup.sh test
	@exec scripts/tidy.sh all

tidy-changed: ## clang-tidy over what differs from the main branch
	@scripts/setup.sh test
	@exec scripts/tidy.sh changed

install: build ## install under PREFIX=/usr/local: binary, man pages, completions, systemd unit
	@scripts/build.sh release share
	@cmake --install build/release --prefix $(PREFIX)

clean: ## remove what was built (not the models)
	@rm -rf build

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
