package packaging

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/certvigil/certvigil/renew/config"
)

// units returns copies of the units whose programs exist on every machine:
// systemd-analyze refuses a unit whose program is not installed.
func units(t *testing.T) map[string]string {
	t.Helper()
	dir := t.TempDir()
	copies := map[string]string{}
	for _, pattern := range []string{"*.service", "*.socket", "*.timer"} {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) == 0 {
			t.Fatalf("no file matches %s (%v)", pattern, err)
		}
		for _, path := range paths {
			text := strings.NewReplacer("=/usr/bin/certvigil", "=/bin/true", "=/usr/sbin/nginx", "=/bin/true").Replace(read(t, path))
			copies[path] = filepath.Join(dir, path)
			if err := os.WriteFile(copies[path], []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return copies
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

func TestUnitsAreValid(t *testing.T) {
	paths := units(t)
	for _, unit := range []string{
		"certvigil.service", "certvigil-http.socket", "certvigil-nginx-test.service",
		"certvigil-check.service", "certvigil-check.timer",
	} {
		if paths[unit] == "" {
			t.Errorf("%s is missing", unit)
		}
	}
	for unit, path := range paths {
		t.Run(unit, func(t *testing.T) {
			run(t, "systemd-analyze", "verify", "--man=no", path)
		})
	}
}

// The thresholds are in tenths of what `systemd-analyze security` prints. The
// service may only become safer; the nginx test runs what nginx itself runs,
// and its limit keeps what sandbox it has.
func TestSandboxIsTight(t *testing.T) {
	paths := units(t)
	for unit, threshold := range map[string]string{
		"certvigil.service":            "20",
		"certvigil-nginx-test.service": "40",
		"certvigil-check.service":      "20",
	} {
		t.Run(unit, func(t *testing.T) {
			run(t, "systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold="+threshold, paths[unit])
		})
	}
}

// What the design of the service rests on, and no tool judges.
func TestServiceSettings(t *testing.T) {
	lines := strings.Split(read(t, "certvigil.service"), "\n")
	for _, want := range []string{
		"Type=notify", "User=certvigil", "Group=certvigil",
		"Restart=always", "StartLimitIntervalSec=0",
		"StateDirectory=certvigil", "StateDirectoryMode=0755", "RuntimeDirectory=certvigil",
		"NoNewPrivileges=yes", "ProtectSystem=strict", "CapabilityBoundingSet=", "UMask=0077", "LimitCORE=0",
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("certvigil.service lacks %s", want)
		}
	}
	if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, "WatchdogSec=") }) {
		t.Error("certvigil.service has no watchdog")
	}
}

// The check stands outside of the agent: it may read what the agent does, and
// write nothing; and it must not start, stop or need the agent.
func TestTheCheckIsAnOutsider(t *testing.T) {
	lines := strings.Split(read(t, "certvigil-check.service"), "\n")
	for _, want := range []string{
		"Type=oneshot", "User=certvigil", "Group=certvigil", "ExecStart=/usr/bin/certvigil check --timeout 30s",
		"NoNewPrivileges=yes", "ProtectSystem=strict", "CapabilityBoundingSet=", "LimitCORE=0",
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("certvigil-check.service lacks %s", want)
		}
	}
	for _, line := range lines {
		for _, tie := range []string{"Wants=", "Requires=", "BindsTo=", "PartOf=", "Requisite=", "StateDirectory=", "ReadWritePaths=", "[Install]"} {
			if strings.HasPrefix(line, tie) {
				t.Errorf("certvigil-check.service has %s", line)
			}
		}
	}
	timer := strings.Split(read(t, "certvigil-check.timer"), "\n")
	if !slices.Contains(timer, "WantedBy=timers.target") {
		t.Error("nothing starts the timer")
	}
}

// Every setting of the sandbox that the agent has, the check has as well.
func TestTheCheckHasTheAgentsSandbox(t *testing.T) {
	check := strings.Split(read(t, "certvigil-check.service"), "\n")
	_, sandbox, found := strings.Cut(read(t, "certvigil.service"), "# The sandbox.")
	if !found {
		t.Fatal("certvigil.service has no sandbox")
	}
	n := 0
	for line := range strings.Lines(sandbox) {
		line = strings.TrimSuffix(line, "\n")
		if line == "[Install]" {
			break
		}
		if strings.HasPrefix(line, "#") || !strings.Contains(line, "=") || line == "SystemCallFilter=@chown" {
			continue // it gives nothing away
		}
		if n++; !slices.Contains(check, line) {
			t.Errorf("certvigil-check.service lacks %s", line)
		}
	}
	if n < 20 {
		t.Errorf("only %d settings were compared", n)
	}
}

// The rule is code of another language, which polkitd runs. Here only its lists
// are held to what was decided; service-test.sh asks a real polkitd.
func TestPolkitRuleNamesExactlyTheseUnits(t *testing.T) {
	rule := read(t, "50-certvigil.rules")
	for list, want := range map[string][]string{
		"reload": {"nginx.service", "apache2.service", "haproxy.service", "postfix.service", "dovecot.service", "postgresql.service"},
		"start":  {"certvigil-nginx-test.service"},
	} {
		m := regexp.MustCompile(`(?s)var ` + list + ` = \[(.*?)\];`).FindStringSubmatch(rule)
		if m == nil {
			t.Fatalf("no list %q in the rule", list)
		}
		var got []string
		for _, unit := range regexp.MustCompile(`"([^"]*)"`).FindAllStringSubmatch(m[1], -1) {
			got = append(got, unit[1])
		}
		if !slices.Equal(got, want) {
			t.Errorf("units for %s: %q, want %q", list, got, want)
		}
	}
	if n := strings.Count(rule, "polkit.Result.YES"); n != 2 {
		t.Errorf("%d ways to a yes, want 2", n)
	}
}

func TestMaintainerScriptsParse(t *testing.T) {
	for _, script := range []string{"postinst", "prerm", "postrm", "deps.sh"} {
		run(t, "sh", "-n", script)
	}
	scripts, err := filepath.Glob("test/*.sh")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts in test (%v)", err)
	}
	for _, script := range append(scripts, "../.ci/run") {
		run(t, "bash", "-n", script)
	}
}

// Everything that nfpm.yaml takes from this folder is there.
func TestPackageContentsExist(t *testing.T) {
	found := regexp.MustCompile(`(?m)(?:src|postinstall|preremove|postremove): packaging/(\S+)$`).
		FindAllStringSubmatch(read(t, "nfpm.yaml"), -1)
	if len(found) != 12 {
		t.Fatalf("%d files named in nfpm.yaml, want 12", len(found))
	}
	for _, m := range found {
		if _, err := os.Stat(m[1]); err != nil {
			t.Error(err)
		}
	}
}

func TestDefaultConfigurationGuardsNothing(t *testing.T) {
	cfg, diags := config.Load("certvigil.hcl")
	if cfg == nil {
		t.Fatal(diags.String())
	}
	// A warning that it guards nothing is in order; more than that is not.
	if len(diags) > 1 || len(cfg.Certs) != 0 {
		t.Errorf("%d certificates, diagnostics:\n%s", len(cfg.Certs), diags.String())
	}
	if cfg.Agent.StateDir != "/var/lib/certvigil" || cfg.Agent.Socket != "/run/certvigil/control.sock" {
		t.Errorf("the units do not provide %+v", cfg.Agent)
	}
}

// The example in the comments of the default configuration is one that works:
// what starts with "#" and no space, or two, is HCL; the rest is prose.
func TestDefaultConfigurationExample(t *testing.T) {
	hcl := regexp.MustCompile(`^#([^ #]|  [^ ])`)
	var text strings.Builder
	for line := range strings.Lines(read(t, "certvigil.hcl")) {
		if hcl.MatchString(line) {
			text.WriteString(line[1:])
		}
	}
	file := filepath.Join(t.TempDir(), "example.hcl")
	if err := os.WriteFile(file, []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	cfg, diags := config.Load(file)
	if cfg == nil || len(diags) > 0 {
		t.Fatalf("%s\nin:\n%s", diags.String(), text.String())
	}
	if len(cfg.Certs) != 1 || len(cfg.Certs[0].Hooks) != 1 {
		t.Fatalf("certificates: %+v", cfg.Certs)
	}
	hook := cfg.Hooks["nginx"]
	if hook.TestUnit != "certvigil-nginx-test.service" || hook.Reload.Unit != "nginx.service" {
		t.Errorf("the polkit rule does not cover %+v", hook)
	}
}
