# The only door to this repository: `make help`. Everything runs on the Node.js that npm installs into node_modules.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)

# T limits a target to a folder or a file: make test T=operator/kube, make lint T=federation/wire.
T ?=
FOLDERS := $(wildcard crds operator federation edge-agent charts e2e examples bench)
GENERATED := crds wire chart
LINTS := types rules imports unused format
CHECKS := $(GENERATED:%=verify-%) $(LINTS:%=lint-%)
SUITES := node e2e/suites/main.ts $(if $(T),--path $(T))

##@ Run it
demo: deps-cluster ## A real cluster, Tributary on it, a model trained on its edge nodes and served by them
	node e2e/demo/main.ts

up: deps-cluster ## Bring the cluster up (the first time builds Kubernetes, about 12 minutes)
	node e2e/cluster/main.ts up

status: deps ## Say what of the cluster is up
	node e2e/cluster/main.ts status

down: deps ## Take the cluster down, leaving nothing behind
	node e2e/cluster/main.ts down

##@ Test it
test: deps-cluster ## Everything: checks, unit, loopback, cluster tests and the stories on a real cluster [T=path]
	@$(SUITES) $(CHECKS:%=--check %)

test-unit: deps ## Tests without a cluster, seconds [T=path]
	@$(SUITES) unit loopback

test-cluster: deps-cluster ## Tests against a real kube-apiserver [T=path]
	@$(SUITES) cluster

test-e2e: deps-cluster ## The stories, on a real cluster with edge nodes [T=path]
	@$(SUITES) story

bench: deps-cluster ## Measure against the peers, and write docs/performance.md [T=bench/one]
	node e2e/cluster/main.ts tools --for apiserver
	node bench/main.ts $(T)

faults: deps-cluster ## Break things on purpose, many times, and write docs/reliability.md [T=e2e/faults/one]
	node e2e/faults/main.ts $(T)

fuzz: deps ## Gradients of many random nodes of every family, minutes [CASES=10000] [SEED=1] [FAMILY=pools]
	node federation/training/testing/main.ts $(or $(CASES),10000) $(or $(SEED),1) $(if $(FAMILY),'$(FAMILY)')

##@ Change it
presubmit: verify lint test-unit ## What must pass before a commit

lint: $(LINTS:%=lint-%) ## Types, rules, import boundaries, dead code, format [T=path limits rules and format]

lint-types: deps
	tsc --noEmit

lint-rules: deps
	eslint --max-warnings 0 $(or $(T),.)

lint-imports: deps
	depcruise --config .dependency-cruiser.mjs $(FOLDERS)

lint-unused: deps
	knip

lint-format: deps
	prettier --check --log-level warn $(or $(T),.)

fmt: deps ## Format, and repair what can be repaired mechanically [T=path]
	prettier --write --log-level warn $(or $(T),.)
	eslint --fix $(or $(T),.)

generate: $(GENERATED:%=generate-%) ## Write every generated file anew

verify: $(GENERATED:%=verify-%) ## Fail when a generated file is not what its source says

generate-crds: deps
	node crds/generate.ts

generate-wire: deps
	buf generate --template federation/wire/buf.gen.yaml

generate-chart: deps
	node charts/main.ts

verify-%: deps
	node e2e/suites/verify.ts $*

##@ Build it
build: deps ## Bundle the operator, the edge agent and the tributary tool into dist/
	node e2e/images/bundle.ts

images: deps ## Build both container images for this machine's cluster
	node e2e/images/build.ts

deps: ## Install what the checkout needs (the other targets do it by themselves)
	@e2e/suites/install.sh

deps-cluster:
	@e2e/suites/install.sh cluster

clean: ## Remove what builds and tests wrote, except the cluster's tools (.tributary)
	rm -rf dist coverage .tributary/test-results federation/aggregation/native/kernels.node

help: ## Print this
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z0-9-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: $(shell awk -F: '/^[a-z0-9-]+:/ { print $$1 }' Makefile)
