# What a developer and a CI job call. Each target sets up what it needs: what is
# missing is installed with apt-get (packaging/deps.sh says what), but for Go.

SHELL = /bin/bash
.SHELLFLAGS = -eu -o pipefail -c
.DEFAULT_GOAL = help

# Tools that are run, not imported, pinned. nfpm: later versions need modules
# that the public module proxy does not have.
NFPM        = github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.2
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK = golang.org/x/vuln/cmd/govulncheck@v1.9.0

# 0.3.1 at the tag v0.3.1, 0.3.1+4.gabcdef0 four commits later, which dpkg sorts
# after it, and 0.0.0+gabcdef0 before the first tag.
VERSION ?= $(shell { git describe --tags --match 'v[0-9]*' 2>/dev/null || \
             echo "v0.0.0+g$$(git rev-parse --short HEAD 2>/dev/null || echo unknown)"; } | \
             sed -E 's/^v//; s/-([0-9]+)-g/+\1.g/')
# When the sources are from: a clock that says less is wrong. Of the commit, so
# that a build gives the same bytes on any day.
BUILT   ?= $(shell git log -1 --format=%cI 2>/dev/null)
STAMP    = -X main.version=$(VERSION) -X main.built=$(BUILT)
DEB_ARCH ?= amd64
DEB       = dist/certvigil_$(VERSION)_$(DEB_ARCH).deb

# What a program is given on its command line: make demo ARGS=--rounds=3
ARGS ?=

# Without cgo the binary needs nothing of the host; without paths and VCS stamps
# it is the same from every checkout.
BUILD = CGO_ENABLED=0 go build -trimpath -buildvcs=false

# Longer than the slowest package takes on two cores with the race detector.
TEST_TIMEOUT ?= 15m

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## bin/certvigil
	packaging/deps.sh
	$(BUILD) -ldflags "$(STAMP)" -o bin/ ./cmd/certvigil

# What proofs and examples are tested against, beside nginx and HAProxy.
SERVERS = apache2 postfix imap-login pop3-login lmtp managesieve-login postgres mariadbd slapd vsftpd prosody

.PHONY: test
test: unit service-test ## all tests, as a new machine runs them

.PHONY: unit
unit: ## go test -race on every package
	packaging/deps.sh gcc git nginx haproxy openssl systemd-analyze setpriv unshare $(SERVERS)
	go test -race -timeout $(TEST_TIMEOUT) ./...

.PHONY: service-test
service-test: ## the package under a real systemd in namespaces (needs root)
	packaging/deps.sh git mmdebstrap unshare setpriv nsenter
	packaging/test/run.sh

.PHONY: demo
demo: ## the whole loop on a real nginx: make demo ARGS=--rounds=3
	packaging/deps.sh nginx
	go run ./examples/demo $(ARGS)

.PHONY: soak
soak: ## ten minutes of faults, with a count of lapses
	packaging/deps.sh nginx
	go run ./examples/soak $(ARGS)

SEEDS ?= 10
CERTS ?= 1000
YEARS ?= 5

.PHONY: sim
sim: ## years of a simulated fleet: make sim SEEDS=1000
	packaging/deps.sh
	go run ./examples/sim -seeds $(SEEDS) -certs $(CERTS) -years $(YEARS) $(ARGS)

.PHONY: crash
crash: ## every cell of the crash matrix, 1,000 kills and 200 losses of power
	packaging/deps.sh nginx
	go test ./cmd/certvigil -run '$(CRASH)' -v -count=1 -timeout 60m -crash.all -crash.kills=1000 -crash.losses=200 $(ARGS) | { grep --line-buffered -v '^=== ' || true; }

# What make crash runs: docs/reliability.md says what each of them is.
CRASH = ^(TestCrashMatrix|TestKillsAtRandomTimesCauseNoLapse|TestThePowerIsLostAtRandomTimes|TestTheNthChangeOfTheDiskFails|TestTheNthProgramFails|TestAnAgentThatDiesAfterAnyChange.*)$$

# The short forms of these run with the unit tests; FAULTS are those of the long.
FAULTS ?= -faults.sparse=1 -faults.rounds=100 -faults.restarts=1000 -faults.bodies=10000

.PHONY: faults
faults: ## every fault of a CA, 5,300 lying certificates, 500 revoked at once, with figures
	packaging/deps.sh nginx
	go test -count=1 -v -timeout 30m ./renew/issue/faultproxy -args $(FAULTS) | grep --line-buffered -v '^=== '
	go test -count=1 -v -run 'AlteredAdvice' ./renew/issue | grep --line-buffered -v '^=== '
	go test -count=1 -v -run 'HalfOfTheCertificates' ./cmd/certvigil -args -ari.certs=1000 | grep --line-buffered -v '^=== '

# What examples/speed is told: make bench SPEED='-parts=reload -sites=5000'
SPEED ?=

.PHONY: bench
bench: ## speed and memory, measured, never asserted
	packaging/deps.sh nginx wrk
	go test -run '^$$' -bench . -benchmem $(ARGS) ./...
	go run ./examples/idle
	go run ./examples/speed $(SPEED)

.PHONY: deb
deb: ## dist/certvigil_VERSION_ARCH.deb
	packaging/deps.sh
	GOOS=linux GOARCH=$(DEB_ARCH) $(BUILD) -ldflags "-s -w $(STAMP)" -o dist/certvigil ./cmd/certvigil
	VERSION='$(VERSION)' ARCH=$(DEB_ARCH) go run $(NFPM) package --config packaging/nfpm.yaml --packager deb --target $(DEB)

.PHONY: lint
lint: ## gofmt, go vet, staticcheck, shellcheck
	packaging/deps.sh git shellcheck
	@files=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$files" ] || { echo "not gofmt-ed: $$files" >&2; exit 1; }
	go vet ./...
	go run $(STATICCHECK) ./...
	shellcheck --severity=warning packaging/postinst packaging/prerm packaging/postrm \
	  packaging/*.sh packaging/test/*.sh .ci/run

.PHONY: vulncheck
vulncheck: ## known vulnerabilities in what the binary calls (asks vuln.go.dev)
	go run $(GOVULNCHECK) ./...

.PHONY: clean
clean: ## removes bin and dist
	rm -rf bin dist
