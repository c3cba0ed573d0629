package program

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/internal/winservice"
)

// installed is the service that a command line would install.
func installed(t *testing.T, args ...string) (winservice.Spec, error) {
	t.Helper()
	p := New("hypervigil-exporter", "Watches.", "127.0.0.1:9877")
	p.Flag("web.external-url", "").URL()
	args = append([]string{"service", "install"}, args...)
	command, err := p.Parse(args)
	if err != nil || command != p.service.install.FullCommand() {
		t.Fatalf("%q, %v", command, err)
	}
	parsed, err := p.ParseContext(args)
	if err != nil {
		t.Fatal(err)
	}
	return p.service.spec(p, parsed, `C:\hv\hypervigil-exporter.exe`, func(path string) (string, error) {
		if strings.HasPrefix(path, "?") {
			return "", errors.New("no such drive")
		}
		return `D:\here\` + path, nil
	})
}

func TestTheServicesArguments(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		args    []string
		want    []string
		account string
	}{
		{"nothing", nil, []string{`--config.file=D:\here\hypervigil.yml`}, `NT SERVICE\hypervigil-exporter`},
		{
			"both files become absolute, the rest stays in its order",
			[]string{"--log.level", "debug", "--config.file=a b.yml", "--web.listen-address=:1", "--web.listen-address=:2", "--web.config.file=web.yml"},
			[]string{"--log.level=debug", `--config.file=D:\here\a b.yml`, "--web.listen-address=:1", "--web.listen-address=:2", `--web.config.file=D:\here\web.yml`},
			`NT SERVICE\hypervigil-exporter`,
		},
		{"the account is not the service's argument", []string{"--account=CORP\\hv$", "--config.file=x"}, []string{`--config.file=D:\here\x`}, `CORP\hv$`},
		{"switches", []string{"--config.file=x", "--no-config.check"}, []string{`--config.file=D:\here\x`, "--no-config.check"}, `NT SERVICE\hypervigil-exporter`},
	} {
		spec, err := installed(t, tt.args...)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if diff := cmp.Diff(append([]string{"service", "run"}, tt.want...), spec.Args); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
		if spec.Account != tt.account {
			t.Errorf("%s: account %s, want %s", tt.name, spec.Account, tt.account)
		}
		if err := spec.Validate(); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		// What is installed is what the program itself understands.
		again := New("hypervigil-exporter", "Watches.", "127.0.0.1:9877")
		if command, err := again.Parse(spec.Args); err != nil || command != again.service.run.FullCommand() {
			t.Errorf("%s: the program takes %q for %q, %v", tt.name, spec.Args, command, err)
		}
	}
	if _, err := installed(t, "--config.file=?"); err == nil {
		t.Error("a path that cannot be made absolute was installed")
	}
	if spec, err := installed(t, "--web.external-url=https://a:hunter2@hv.example"); err != nil || spec.Validate() == nil {
		t.Errorf("a password in a URL: %v, %v", err, spec.Validate())
	}
}
