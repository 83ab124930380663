# `make` lists the targets. Longer steps are scripts.
.DEFAULT_GOAL := help
export GOWORK := off

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## the tour on embedded Redis: ten seconds, needs nothing but Go
	@cd examples && go run ./tour $(if $(EXPIRY),-expiry $(EXPIRY))

.PHONY: test
test: ## all tests of all modules, with -race if it links, on containers, redis-server or miniredis
	@scripts/test.sh

.PHONY: lint
lint: ## gofmt, go build, go vet, staticcheck, go mod tidy and the dependencies of every module
	@scripts/lint.sh

.PHONY: images
images: ## build the container images of the tests that are missing: Redis 7.0, 8.0, Valkey 8.1
	@cd conformance/redistest && go run ./cmd/redistest -images

.PHONY: sim
sim: ## simulate clusters in virtual time for FOR=1m, from SEED=1 on, without -race
	@scripts/sim.sh $(or $(FOR),1m) $(or $(SEED),1)

.PHONY: chaos
chaos: ## break containers under load at random for FOR=10m; a checker judges
	@cd tests && go run ./chaos/cmd/chaos -for $(or $(FOR),10m) $(if $(SEED),-seed $(SEED))

.PHONY: mutants
mutants: ## break the library one line at a time; each breakage must fail a test
	@cd tests && go run ./mutants -write docs/testing.md

.PHONY: release
release: ## try what VERSION=v0.1.0 would tag; with APPLY=1 make the commits and tags, locally
	@scripts/release.sh $(if $(APPLY),-apply) $(if $(UNCHECKED),-unchecked) $(VERSION)

.PHONY: bench
bench: ## lock and unlock beside the bare clients, call by call
	@cd bench && go test -run '^$$' -bench . -benchtime $(or $(FOR),2s)

.PHONY: bench-peers
bench-peers: ## measure beside other libraries, ten minutes, and write docs/benchmarks.md
	@cd bench && go run ./cmd/peers
