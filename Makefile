# Each target is a script of the same name in scripts/, which installs what it needs and says how long its parts took.
.DEFAULT_GOAL := help
.PHONY: help setup build artifact artifact-twice demo test test-envoy-matrix test-nginx verify ci bench burst faults fleet memory soak swap-test reference clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 26

setup: ## install what demo and test need: Rust's wasm target, Envoy, Redis, Postgres, nginx
	@scripts/setup test

build: ## build the filter into dist/jwe_gate.wasm
	@scripts/artefact

artifact: ## all that is shipped: the filter, its checksum, bill of materials and OCI image, into dist/
	@scripts/artefact dist

artifact-twice: ## builds the commit in two folders; fails unless every file is the same
	@scripts/artifact-twice

demo: ## a real session through a real Envoy; keeps running, or with ONCE=1 ends after one round
	@ONCE=$(ONCE) scripts/demo

test: ## all tests (under 15 minutes, cold)
	@scripts/test

test-envoy-matrix: ## what is tested in a real Envoy, in every version from 1.36 on
	@scripts/test-envoy-matrix

test-nginx: ## the scenarios on a real nginx: make test-nginx NGINX=/path/to/nginx
	@NGINX=$(NGINX) scripts/test-nginx

verify: ## everything, with minutes of load; says first what it needs
	@scripts/verify

ci: ## format, lints, documentation and all tests, warnings being errors
	@scripts/ci

faults: ## every part fails in every way; writes what users get into docs/FAULTS.md
	@scripts/faults

bench: ## what the filter costs in Envoy, and what a lookup costs
	@scripts/bench

burst: ## 2,000 requests at once: each user is asked about once, each page for everybody is asked for once
	@scripts/burst

fleet: ## 200 users sign out of three proxies under load: how soon they are out everywhere; or ROUNDS=
	@scripts/fleet $(ROUNDS)

memory: ## 200,000 users through one Envoy, within the cache budget
	@scripts/memory

swap-test: ## 20 swaps of the filter under 1,000 requests a second
	@SWAPS=$(SWAPS) scripts/swap-test

soak: ## five minutes of traffic while parts fail at random; or SECONDS=
	@scripts/soak $(SECONDS) $(SEED)

reference: ## renew docs/REFERENCE.md and docs/filter.schema.json from the types that read a configuration
	@scripts/reference

clean: ## remove what was built and installed in this folder
	rm -rf .build dist
	cargo clean
