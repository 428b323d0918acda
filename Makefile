# paygate: what can be made. `make` alone tells.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

GO ?= go
CACHE := $(CURDIR)/.cache
TOOLS := $(CACHE)/bin
SKIPPED := $(CACHE)/skipped
FAILED := $(CACHE)/failed
TALLY := run ./test/tally -notes $(SKIPPED) -failures $(FAILED)

# Tools, at the exact versions that the project is held to.
GOLANGCI_LINT := golangci-lint@v2.9.0
STATICCHECK := staticcheck@v0.7.0
GOFUMPT := gofumpt@v0.9.2

# Options of `make demo`: see `go run ./test/demo -h`.
export SELLER BUYER SIZE SAMPLE RATE PRICE LATENCY LIGHTNING KEEP

FUZZTIME ?= 20s
E2E ?= .
# Options of `make bench`: see `go run ./test/bench -h`.
BENCH ?=
# Options of `make soak` and `make startup`: see `go run ./test/soak -h`, `go run ./test/startup -h`.
SOAK ?=
STARTUP ?=
# Options of `make paidbench`: see `go run ./test/paidbench -h`.
PAID ?=
# Options of `make payers`: see `go run ./test/payers -h`.
PAYERS ?=
# Scenarios that may run at once. On two cores six wait nine tenths of the time.
PARALLEL ?= 6

# The race detector needs a C compiler; everything else does without one.
# SQLite, which is C translated to Go, is left out of it: its memory is no memory of Go's, which is all the detector looks
# at, and to check its pointers takes ten times as long as all else. The driver, which talks with our code, is in.
RACE := $(shell command -v "$$($(GO) env CC)" >/dev/null 2>&1 && echo -race \
	-gcflags=modernc.org/sqlite/lib=-race=false -gcflags=modernc.org/libc=-race=false -gcflags=modernc.org/memory=-race=false)

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14
	@echo
	@echo 'make demo takes SELLER= and BUYER= (qbittorrent, transmission, anacrolix), SIZE=, PRICE=, LATENCY=, RATE=, SAMPLE=,'
	@echo 'LIGHTNING= (sandbox, lnd, lnd-routed).'
	@echo 'make e2e takes E2E= (a pattern of scenario names) and PARALLEL=. make fuzz takes FUZZTIME=.'

.PHONY: build
build: ## Build bin/paygate
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/ ./cmd/paygate

.PHONY: demo
demo: clients ## Watch one client buy a file from another (no real money)
	@case "$(LIGHTNING)" in lnd*) $(MAKE) lnd >/dev/null; export PAYGATE_LND_BIN="$$(test/lightning/build.sh where)";; esac; \
	$(GO) run ./test/demo

.PHONY: test
test: ## Everything: lint, unit tests with race detector and fuzz corpora, firewall rules, real clients, crashes, real lnd
	@mkdir -p $(CACHE) && : >$(SKIPPED) && : >$(FAILED)
	@failed=(); \
	for part in lint unit firewall e2e matrix-smoke; do \
		echo "== $$part"; \
		$(MAKE) $$part || failed+=("$$part"); \
	done; \
	echo '== crash and real, which mostly wait, side by side; each is shown at its end'; \
	for part in crash real; do rm -f $(CACHE)/passed-$$part; : >$(SKIPPED)-$$part; : >$(FAILED)-$$part; done; \
	$(MAKE) -k -j2 $(SYNC) part-crash part-real || true; \
	for part in crash real; do \
		[ -e $(CACHE)/passed-$$part ] || failed+=("$$part"); \
		cat $(SKIPPED)-$$part >>$(SKIPPED); cat $(FAILED)-$$part >>$(FAILED); \
	done; \
	echo; \
	if [ -s $(SKIPPED) ]; then echo 'Skipped, with the reason:'; sed 's/^/  /' $(SKIPPED); else echo 'Skipped: nothing.'; fi; \
	if [ $${#failed[@]} -gt 0 ]; then \
		echo; echo 'What failed said last:'; cat $(FAILED); \
		echo "FAILED: $${failed[*]}"; exit 1; \
	fi; \
	echo 'All passed.'

# Parts that run side by side keep their notes apart, and show what they say as a whole, if this make can do that.
SYNC := $(if $(filter output-sync,$(.FEATURES)),--output-sync=recurse)
part-%: clients lnd
	@echo "== $*"; $(MAKE) $* SKIPPED=$(SKIPPED)-$* FAILED=$(FAILED)-$*
	@: >$(CACHE)/passed-$*

.PHONY: unit
unit: ## Unit tests, shuffled, with the race detector; allocations without it; fuzz corpora run as seeds
	@mkdir -p $(CACHE)
	@[ -n "$(RACE)" ] || echo 'race detector: there is no C compiler' >>$(SKIPPED)
	@$(GO) test -json -short $(RACE) -shuffle=on -timeout 25m $$($(GO) list ./... | grep -vE '/test/(e2e|clients|demo|anacrolix|scenario|matrix|firewall)$$') \
		| $(GO) $(TALLY) -name unit
	@$(GO) test -short -run Alloc $$(grep -rl --include='*_test.go' AllocsPerRun . | xargs -n1 dirname | sort -u)

.PHONY: firewall
firewall: clients ## Firewall rules, TPROXY and clients behind them in network namespaces, as root
	@mkdir -p $(CACHE)
	@$(GO) test -json -count=1 -timeout 10m ./test/firewall | $(GO) $(TALLY) -name firewall

.PHONY: e2e
e2e: clients trixie-if-possible ## End-to-end scenarios with real clients; E2E=pattern chooses
	@mkdir -p $(CACHE)
	@: >$(CACHE)/failed-e2e; \
	e2e() { $(GO) test -json -count=1 -timeout 45m -parallel $(PARALLEL) -run "/$$2" ./test/e2e \
		| $(GO) $(TALLY) -failures $(CACHE)/failed-e2e -v -name "$$1"; }; \
	e2e e2e '$(E2E)' && exit; \
	if again=$$(test/e2e/hung.sh $(CACHE)/failed-e2e); then \
		: >$(CACHE)/failed-e2e; \
		e2e 'e2e, with those whose client hung' "$$again" && exit; \
	fi; \
	cat $(CACHE)/failed-e2e >>$(FAILED); exit 1

.PHONY: matrix
matrix: clients trixie-if-possible ## Every client, old and new, x way in x encryption x IPv4/IPv6; writes the table into docs/clients.md
	@$(call play,matrix,60m,-run TestMatrix,-all -page $(CURDIR)/docs/clients.md)

.PHONY: matrix-smoke
matrix-smoke: clients trixie-if-possible ## A few cells of it that stand for all
	@$(call play,matrix-smoke,20m,,)

# play runs cells and shows their table: name, time limit, options of go test, options of the tests.
define play
mkdir -p $(CACHE); rm -f $(CACHE)/table; code=0; \
	$(GO) test -json -count=1 -timeout $(2) -parallel $(PARALLEL) $(3) ./test/matrix -args $(4) -table $(CACHE)/table $$([ -t 1 ] && echo -colours) \
		| $(GO) run ./test/tally -name $(1) -notes $(SKIPPED) || code=$$?; \
	[ ! -e $(CACHE)/table ] || cat $(CACHE)/table; exit $$code
endef

.PHONY: trixie-if-possible
trixie-if-possible:
	@test/install/trixie.sh >/dev/null || [ $$? -eq 3 ]

.PHONY: auction
auction: ## Three real buyers that bid 1:2:4 for one upload; part of e2e too
	@$(MAKE) e2e E2E=auction

.PHONY: lnd
lnd: ## Build lnd and btcd for tests, once, outside the repository
	@test/lightning/build.sh

.PHONY: real
real: clients lnd ## Real lnd: contract, kills, macaroons; then the end-to-end scenarios on it
	@mkdir -p $(CACHE)
	@export PAYGATE_LND_BIN="$$(test/lightning/build.sh where)"; \
	$(GO) test -json -count=1 -timeout 20m ./test/lnd | $(GO) $(TALLY) -v -name lnd; \
	PAYGATE_E2E_LIGHTNING=lnd $(GO) test -json -count=1 -timeout 30m -parallel 2 -run '/(sells|cap|killed|away)' ./test/e2e \
		| $(GO) $(TALLY) -v -name 'e2e on lnd'

.PHONY: crash
crash: lnd ## Kill paygates and nodes at every step of a payment: 200 times on the sandbox, 20 on real lnd
	@mkdir -p $(CACHE)
	@export PAYGATE_LND_BIN="$$(test/lightning/build.sh where)"; \
	$(GO) test -json -count=1 -timeout 30m -run 'TestSandbox|TestLND' ./test/crash | $(GO) $(TALLY) -v -name crash

.PHONY: clients
clients: ## Install the BitTorrent clients for demo and e2e, if apt and the rights for it are there
	@test/install/clients.sh

.PHONY: trixie
trixie: ## Put Debian 13's clients, newer than this system's, into a directory outside the repository (root)
	@test/install/trixie.sh

.PHONY: lint
lint: tools ## Formatting, vet, golangci-lint with the import table, staticcheck
	@unformatted=$$($(TOOLS)/gofumpt -l $$(git ls-files '*.go' | xargs ls -d 2>/dev/null)); \
	if [ -n "$$unformatted" ]; then printf 'not formatted (gofumpt -w):\n%s\n' "$$unformatted"; exit 1; fi
	@$(TOOLS)/golangci-lint run ./...
	@# Deprecations are golangci-lint's business: it knows the lines that need them.
	@$(TOOLS)/staticcheck -checks inherit,-SA1019 ./...

.PHONY: tools
tools: $(TOOLS)/$(GOLANGCI_LINT) $(TOOLS)/$(STATICCHECK) $(TOOLS)/$(GOFUMPT)

# Each tool leaves a mark with its version, so that a new version is installed when it is named above.
$(TOOLS)/$(GOLANGCI_LINT): PACKAGE := github.com/golangci/golangci-lint/v2/cmd/$(GOLANGCI_LINT)
$(TOOLS)/$(STATICCHECK): PACKAGE := honnef.co/go/tools/cmd/$(STATICCHECK)
$(TOOLS)/$(GOFUMPT): PACKAGE := mvdan.cc/$(GOFUMPT)
$(TOOLS)/%:
	@mkdir -p $(TOOLS)
	GOBIN=$(TOOLS) $(GO) install $(PACKAGE)
	@touch $@

.PHONY: fuzz
fuzz: ## Fuzz every target for FUZZTIME
	@for dir in $$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u); do \
		for target in $$(grep -ho '^func Fuzz[A-Za-z0-9]*' $$dir/*_test.go | cut -c6- | sort); do \
			echo "== $$dir $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$dir; \
		done; \
	done

.PHONY: bench
bench: rivals ## Measure paygate beside haproxy, nginx, socat and plain relays: a table, and docs/performance.{json,svg}
	@$(GO) run ./test/bench $(BENCH) -json docs/performance.json -svg docs/performance.svg

.PHONY: peers
peers: ## 9,000 peers at one paygate, each served, and more than there is room for: what memory that takes
	@$(GO) run ./test/bench -peers 9000

.PHONY: paidbench
paidbench: ## Paid against free downloads, on a simulated Lightning network and on real lnd: a table, and docs/paid.json
	@export PAYGATE_LND_BIN="$$(test/lightning/build.sh where)"; $(MAKE) lnd >/dev/null; \
	$(GO) run ./test/paidbench $(PAID) -json docs/paid.json

.PHONY: payers
payers: ## 500 buyers at once through one paygate: whether any waits for a payment, and what is left of them afterwards
	@$(GO) run ./test/payers $(PAYERS)

.PHONY: soak
soak: ## Ten minutes of connections, payments, reloads and outages: nothing grows, and the books agree. SOAK='-time 2m' is shorter
	@$(GO) run ./test/soak $(SOAK)

.PHONY: startup
startup: ## How long paygate takes to be ready with a ledger of a million entries; STARTUP='-verify -compact' does more
	@$(GO) run ./test/startup $(STARTUP)

.PHONY: profile
profile: ## CPU and heap profiles of paygate under the benchmark, into .cache/profile
	@$(GO) run ./test/bench -only paygate -profile $(CACHE)/profile
	@echo 'look at them with: go tool pprof -top .cache/profile/paygate-gated-cpu.pprof'

.PHONY: microbench
microbench: ## Go benchmarks of the hot path
	$(GO) test -run '^$$' -bench . -benchmem ./proxy/... ./pay ./policy ./ledger

.PHONY: gatebench
gatebench: ## What the decisions about each block cost: at most 3 % of the relay's CPU time, or it fails
	@$(GO) run ./test/bench -gate -rounds 100 -slice 200ms -conns 16

.PHONY: rivals
rivals:
	@test/install/clients.sh haproxy socat nginx libnginx-mod-stream

.PHONY: notices
notices: ## Write THIRD_PARTY_NOTICES.md
	@$(GO) run ./test/notices >THIRD_PARTY_NOTICES.md.new && mv THIRD_PARTY_NOTICES.md.new THIRD_PARTY_NOTICES.md

.PHONY: clean
clean: ## Remove what was built, and the tools
	rm -rf bin $(CACHE)
