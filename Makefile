# SPDX-License-Identifier: PostgreSQL
# The few commands that people type.  The build itself is Meson's: meson.build.
BUILD = build

.PHONY: all build demo test test-long install-deps deps-test format format-check lint clean

all: build

$(BUILD)/build.ninja:
	tools/install_deps.sh build
	meson setup $(BUILD)

build: $(BUILD)/build.ninja
	ninja -C $(BUILD)

demo:                   ## a TLS proxy before a PostgreSQL of its own, for half a minute
	@tools/demo.sh

test: deps-test         ## unit tests, house rules and the quick scenarios
	tools/run_tests.py quick

test-long: deps-test    ## the scenarios that take long
	tools/run_tests.py long

install-deps:           ## what the build needs
	tools/install_deps.sh build

deps-test:              ## what the tests need
	tools/install_deps.sh test

format:
	tools/format.sh

format-check:
	tools/format.sh --check

lint: $(BUILD)/build.ninja
	clang-tidy -quiet -p $(BUILD) src/*/*.c

clean:
	rm -rf $(BUILD)
