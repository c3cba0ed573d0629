package winservice

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// argv takes a command line apart as CommandLineToArgvW says it does (learn.microsoft.com): the program's name ends at its
// closing mark and knows no escapes; in arguments 2n backslashes and a mark are n backslashes and the mark, 2n+1 are n
// and a mark that is a character.
func argv(line string) []string {
	name, rest, _ := strings.Cut(line[1:], `"`)
	all := []string{name}
	var b strings.Builder
	in, quoted, slashes := false, false, 0
	flush := func() { b.WriteString(strings.Repeat(`\`, slashes)); slashes = 0 }
	for _, r := range rest {
		switch {
		case r == '\\':
			slashes++
			in = true
		case r == '"':
			odd := slashes%2 == 1
			slashes /= 2
			flush()
			in = true
			if odd {
				b.WriteRune(r)
			} else {
				quoted = !quoted
			}
		case (r == ' ' || r == '\t') && !quoted:
			flush()
			if in {
				all = append(all, b.String())
			}
			b.Reset()
			in = false
		default:
			flush()
			b.WriteRune(r)
			in = true
		}
	}
	if flush(); in {
		all = append(all, b.String())
	}
	return all
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	const path = `C:\Program Files\Hypervigil\hypervigil-exporter.exe`
	for _, tt := range []struct {
		path string
		args []string
		want string
	}{
		{path, []string{"service", "run"}, `"C:\Program Files\Hypervigil\hypervigil-exporter.exe" service run`},
		{`C:\hv\x.exe`, nil, `"C:\hv\x.exe"`},
		{`C:\hv\x.exe`, []string{`--config.file=C:\Program Data\hv.yml`}, `"C:\hv\x.exe" "--config.file=C:\Program Data\hv.yml"`},
		{`C:\hv\x.exe`, []string{`C:\some dir\`, `C:\dir\`}, `"C:\hv\x.exe" "C:\some dir\\" C:\dir\`},
		{`C:\hv\x.exe`, []string{`say "yes"`, `\"`, ""}, `"C:\hv\x.exe" "say \"yes\"" "\\\"" ""`},
	} {
		got := CommandLine(tt.path, tt.args)
		if got != tt.want {
			t.Errorf("CommandLine(%q, %q) = %s, want %s", tt.path, tt.args, got, tt.want)
		}
		if diff := cmp.Diff(append([]string{tt.path}, tt.args...), argv(got)); diff != "" {
			t.Errorf("%s is taken apart otherwise (-want +got):\n%s", got, diff)
		}
	}
}

// FuzzCommandLine holds that whatever goes in comes out.
func FuzzCommandLine(f *testing.F) {
	f.Add(`a b`, `\\"`)
	f.Add("", `\`)
	f.Add("\t", `"`)
	f.Fuzz(func(t *testing.T, a, b string) {
		if strings.ContainsAny(a+b, "\x00\r\n\v") || !utf8.ValidString(a) || !utf8.ValidString(b) {
			t.Skip("refused, or not text")
		}
		want := []string{`C:\x y.exe`, a, b}
		if diff := cmp.Diff(want, argv(CommandLine(want[0], want[1:]))); diff != "" {
			t.Errorf("%q, %q (-want +got):\n%s", a, b, diff)
		}
	})
}

func spec() Spec {
	return Spec{
		Name: "hypervigil-exporter", DisplayName: "Hypervigil exporter", Description: "Watches.", Path: `C:\hv\x.exe`,
		Args: []string{"service", "run", `--config.file=C:\hv.yml`}, Account: `CORP\hv$`,
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for _, account := range []string{`CORP\hv$`, `corp.example\gmsa-hv$`, `NT SERVICE\hypervigil-exporter`, `NT AUTHORITY\NetworkService`, `nt authority\localservice`} {
		s := spec()
		if s.Account = account; s.Validate() != nil {
			t.Errorf("%s: %v", account, s.Validate())
		}
	}
	for _, tt := range []struct {
		name   string
		change func(*Spec)
		says   string
	}{
		{"no name", func(s *Spec) { s.Name = "" }, "cannot be a service's name"},
		{"a name with a slash", func(s *Spec) { s.Name = "a/b" }, "cannot be a service's name"},
		{"no program", func(s *Spec) { s.Path = "" }, "cannot be a service's program"},
		{"a mark in the path", func(s *Spec) { s.Path = `C:\a"b.exe` }, "cannot be a service's program"},
		{"two lines", func(s *Spec) { s.Args = append(s.Args, "a\nb") }, "a character that"},
		{"zero", func(s *Spec) { s.Account = "CORP\\a\x00$" }, "a character that"},
		{"a password in a URL", func(s *Spec) { s.Args = append(s.Args, "--web.external-url=https://me:hunter2@hv.example") }, "--web.external-url: a user in a URL"},
		{"a user's account", func(s *Spec) { s.Account = `CORP\administrator` }, "needs a password"},
		{"a local account", func(s *Spec) { s.Account = `.\hv$` }, "needs a password"},
		{"the whole machine", func(s *Spec) { s.Account = `NT AUTHORITY\SYSTEM` }, "needs a password"},
		{"LocalSystem", func(s *Spec) { s.Account = `LocalSystem` }, "needs a password"},
		{"no account", func(s *Spec) { s.Account = "" }, "needs a password"},
		{"half an account", func(s *Spec) { s.Account = `CORP\` }, "needs a password"},
	} {
		s := spec()
		tt.change(&s)
		err := s.Validate()
		if err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.says)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error repeats the password: %v", tt.name, err)
		}
	}
}
