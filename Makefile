# Needs Go, make and a POSIX shell. Beyond that, `race` needs a C compiler and `bpf` needs clang-19;
# what these make besides test results is committed.

GO       ?= go
FUZZTIME ?= 10s

# The same flags for everything, so that nothing is compiled twice (but for sim-swarm).
export CGO_ENABLED := 0
export GOFLAGS     := $(GOFLAGS) -trimpath

# The binaries, and so every benchmark report, name the commit if git can tell it.
VCS  := $(shell git rev-parse HEAD >/dev/null 2>&1 && echo true || echo false)
# Developer tools come from a module of their own, pinned in tools/go.mod.
TOOL := $(GO) tool -modfile=tools/go.mod

.PHONY: help build run test check race fuzz bench bench-cores bench-alloc bench-rpc bench-json sim sim-swarm sim-planted long bpf fmt vuln clean root

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' Makefile

build: ## build bin/iokernel and bin/dunlin
	$(GO) build -buildvcs=$(VCS) -o bin/ ./cmd/iokernel ./cmd/dunlin

run: root build ## the main job on real packets: latency beside its floor and the kernel (root)
	bin/dunlin bench latency --quick

test: ## vet, lint and every test; without root, the kernel tests are skipped and listed
	$(GO) vet -tags invariants ./...
	$(GO) run ./scripts/suite -vet=off -tags invariants -timeout 5m

check: ## what a change must pass: formatting, staticcheck, then test
	@files=$$($(TOOL) gofumpt -l .) || exit 1; \
	test -z "$$files" || { echo "not formatted (make fmt):"; echo "$$files"; exit 1; }
	$(TOOL) staticcheck -tags invariants ./...
	$(MAKE) test

race: export CGO_ENABLED := 1
race: ## the tests that need no kernel, under the race detector (needs a C compiler)
	$(GO) run ./scripts/suite -only unit -race -vet=off -tags invariants -timeout 5m

fuzz: ## each fuzz target for FUZZTIME (10s)
	@find . -name '*_test.go' -exec grep '^func Fuzz' /dev/null {} + | \
	sed 's|^\(.*\)/[^/]*:func \(Fuzz[A-Za-z0-9_]*\).*|\1 \2|' | sort | \
	while read -r dir name; do \
		echo "# $$dir $$name"; \
		$(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) "$$dir" </dev/null || exit 1; \
	done

bench: root build ## latency and throughput, all rows (root)
	bin/dunlin bench latency
	bin/dunlin bench throughput

sim: build ## one seed of the simulated network again: make sim SEED=9
	bin/dunlin sim run --seed $(or $(SEED),1)

# Compiled by a profile of itself it carries a twentieth more frames (DIARY 10), and takes a minute longer to
# build for the first time. To renew it: go test -run TestSeeds -cpuprofile $(PROFILE) ./bench/sim/swarm
PROFILE := bench/sim/swarm/swarm.pgo

sim-swarm: ## fresh seeds of the simulated network: make sim-swarm SECONDS=60
	$(GO) build -buildvcs=$(VCS) -pgo=$(PROFILE) -o bin/dunlin-swarm ./cmd/dunlin
	bin/dunlin-swarm sim swarm --seconds $(or $(SECONDS),60)

long: ## what is too long for test: 10^8 blind injections, 1,000 restarts (minutes)
	DUNLIN_LONG=1 $(GO) test -count=1 -v -tags invariants -timeout 30m \
		-run '^(TestB8Restarts|TestB9BlindInjection)$$' ./dataplane/transport

sim-planted: ## count the seeds that find mistakes made on purpose
	$(GO) run -tags planted ./cmd/dunlin sim planted

bench-cores: root build ## what lending cores costs and brings, with its page in out/ (root)
	mkdir -p out
	bin/dunlin bench cores --json out/cores.json --html out/cores.html
	bin/dunlin bench cores --simulate

bench-alloc: build ## memory beside Go's heap and allocators of C, with its page in out/
	mkdir -p out
	bin/dunlin bench alloc --json out/alloc.json --html out/alloc.html

bench-rpc: root build ## calls and remote writes beside TCP, QUIC and gRPC, with the page in out/ (root)
	mkdir -p out
	bin/dunlin bench rpc --json out/rpc.json --html out/rpc.html

bench-json: root build ## the same into out/: JSON, and the page with the distributions (root)
	mkdir -p out
	bin/dunlin bench latency --json out/latency.json --html out/latency.html
	bin/dunlin bench throughput --json out/throughput.json

bpf: ## rebuild the committed BPF objects (needs clang-19 and llvm-strip-19)
	@for tool in clang-19 llvm-strip-19; do command -v $$tool >/dev/null || { \
		echo "make bpf needs $$tool: on Debian and Ubuntu, apt-get install clang-19 llvm-19" >&2; \
		echo "(the objects are committed: only who changes bpf/*.c needs it)" >&2; exit 1; }; done
	$(GO) generate ./bpf

fmt: ## format all Go files
	$(TOOL) gofumpt -w .

vuln: ## look the dependencies up in Go's vulnerability database (needs the network)
	$(TOOL) govulncheck ./...

clean: ## remove what the targets above have made
	rm -rf bin out

root:
	@test "$$(id -u)" = 0 || { \
		echo "make $(MAKECMDGOALS) needs root (sudo): it makes network namespaces and attaches" \
			"XDP programs" >&2; exit 1; }
