# Hypervigil: make demo, make test. "make help" lists the rest. Only Go, make and git are needed.

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null | sed 's/^v//')
REVISION = $(shell git rev-parse HEAD 2>/dev/null)
BRANCH   = $(shell git rev-parse --abbrev-ref HEAD 2>/dev/null)
# The commit's own date, not the clock's: the same commit builds the same bytes.
DATE     = $(shell git log -1 --format=%cd --date=format:%Y%m%d-%H:%M:%S 2>/dev/null)
V        = github.com/prometheus/common/version
LDFLAGS  = -X $(V).Version=$(or $(VERSION),unknown) -X $(V).Revision=$(or $(REVISION),unknown) -X $(V).Branch=$(or $(BRANCH),unknown) -X $(V).BuildDate=$(or $(DATE),unknown)

PLATFORMS = linux/amd64 linux/arm64 windows/amd64 windows/arm64

.PHONY: help
help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build the programs into build/bin.
	@internal/tools/progress 'building Hypervigil' go build -trimpath -ldflags '$(LDFLAGS)' -o build/bin/ ./cmd/...

# The demo gets the outside programs' paths as PROMETHEUS, PROMTOOL and ALERTMANAGER; set them yourself to use your own.
# FAULT, POLICY and KEEP are handed on as they are. build/bin/hypervigil-lab finds its siblings beside itself.
.PHONY: demo
demo: build ## Kill a SQL Server and watch it heal; FAULT=…, POLICY=heal-clean-stop, KEEP=1.
	@set -e; \
	PROMETHEUS=$$(internal/tools/ensure prometheus); \
	PROMTOOL=$$(internal/tools/ensure promtool); \
	ALERTMANAGER=$$(internal/tools/ensure alertmanager); \
	export PROMETHEUS PROMTOOL ALERTMANAGER; \
	exec build/bin/hypervigil-lab demo

# The programs of others as make demo has them. The white paper's own experiment, with its durations, in the time of 2010, and
# its own remedy beside ours; and everything: every row in virtual time, one of each class and configuration really.
DRILL = $(MAKE) --no-print-directory build && \
	PROMETHEUS=$$(internal/tools/ensure prometheus) && PROMTOOL=$$(internal/tools/ensure promtool) && \
	ALERTMANAGER=$$(internal/tools/ensure alertmanager) && export PROMETHEUS PROMTOOL ALERTMANAGER && \
	exec build/bin/hypervigil-lab drill

.PHONY: drill
drill: ## The white paper's experiment, its figures beside ours; about 7 min, into build/drill.
	@$(DRILL) --fault=service-crash --fault=service-crash-white-paper --era=2008r2 --profile=paper --trials=3 --out=build/drill

.PHONY: drill-all
drill-all: ## Every fault in every configuration and era; about 20 min, into build/drill.
	@$(DRILL) --all --out=build/drill

.PHONY: test
test: ## What CI checks; ends with the list of peers that were missing.
	@internal/tools/verify all

.PHONY: lint
lint: ## gofumpt, go vet and staticcheck.
	@internal/tools/verify lint

.PHONY: fuzz
fuzz: ## Each fuzz target for FUZZTIME (1m).
	@FUZZTIME=$${FUZZTIME:-1m} internal/tools/verify fuzz

.PHONY: soak-hang
soak-hang: ## Peers that hang in twelve ways for HANG_FOR (10m): every answer in time, nothing left.
	@HANG_FOR=$(or $(HANG_FOR),10m) go test -count=1 -timeout 1h -v -run '^TestTwelveWaysOfHanging$$' ./internal/drill/hang

.PHONY: bench
bench: ## The design's numbers, measured in one run; ROW=probe for one of them. Exit 1 where a goal is missed.
	@internal/tools/progress 'building the bench' go build -trimpath -ldflags '$(LDFLAGS)' -o build/bench/ ./cmd/hypervigil-exporter ./internal/drill/bench
	@build/bench/bench --dir=build/bench $(addprefix --row=,$(ROW))

# N is the number of trials of each row, instead of the row's own; ROW=service-fast is one row, which takes 8 minutes, service-standard 12.
.PHONY: latency
latency: ## Fault to first command through the real programs, each row beside its goal; N=…, ROW=…. Takes an hour, mostly waiting. Exit 1 where a goal is missed.
	@internal/tools/progress 'building what is measured' go build -trimpath -ldflags '$(LDFLAGS)' -o build/latency/ ./cmd/hypervigil-exporter ./cmd/hypervigil-receiver ./cmd/hypervigilctl ./internal/drill/latency
	@set -e; \
	PROMETHEUS=$$(internal/tools/ensure prometheus); \
	PROMTOOL=$$(internal/tools/ensure promtool); \
	ALERTMANAGER=$$(internal/tools/ensure alertmanager); \
	export PROMETHEUS PROMTOOL ALERTMANAGER; \
	exec build/latency/latency --dir=build/latency $(addprefix --row=,$(ROW))

# Real hosts are named by HYPERVIGIL_CONFORMANCE_CONFIG=hypervigil.yml; docs/conformance.md has the rest.
.PHONY: conformance
conformance: ## What we rely on, against the lab and the hosts of HYPERVIGIL_CONFORMANCE_CONFIG.
	@internal/tools/progress 'building the conformance suite' go vet ./internal/conformance
	@go test -count=1 -timeout 60m -v -run '^TestConformance' ./internal/conformance

# SCHEDULES, SEED and MUTANT: how many, which (a fresh seed unless given), and one guard that says yes to everything.
# Mutants are compiled into a program of their own; none that is shipped has them.
.PHONY: simulate
simulate: ## The receiver against 100,000 random schedules; SEED=…, SCHEDULES=…, MUTANT=G10.
	@internal/tools/progress 'building the simulation' go build $(if $(MUTANT),-tags mutate) -trimpath -o build/simulate/ ./cmd/hypervigil-lab
	@build/simulate/hypervigil-lab simulate --schedules=$(or $(SCHEDULES),100000) --seed=$(or $(SEED),0) $(if $(MUTANT),--mutant=$(MUTANT))

.PHONY: mutate
mutate: ## Each guard made to say yes: the simulation must fail for every one.
	@$(MAKE) --no-print-directory simulate MUTANT=all

.PHONY: release
release: ## Programs for Linux and Windows, and their checksums, into build/release.
	@set -e; rm -rf build/release; mkdir -p build/release; \
	for platform in $(PLATFORMS); do \
		os=$${platform%/*}; arch=$${platform#*/}; dir=hypervigil-$(VERSION).$$os-$$arch; \
		mkdir -p "build/release/$$dir"; cp LICENSE "build/release/$$dir/"; \
		CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch internal/tools/progress "building for $$platform" \
			go build -trimpath -buildvcs=false -ldflags '-s -w $(LDFLAGS)' -o "build/release/$$dir/" ./cmd/...; \
	done; \
	cd build/release; { find . -type f ! -name SHA256SUMS | LC_ALL=C sort | sed 's|^\./||' | \
		if command -v sha256sum >/dev/null; then xargs sha256sum; else xargs shasum -a 256; fi; } >SHA256SUMS; \
	cat SHA256SUMS

.PHONY: clean
clean: ## Remove build/. What was built of others' programs stays in the cache folder.
	@rm -rf build
