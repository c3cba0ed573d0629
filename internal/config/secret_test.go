package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-kit/log"
	"go.yaml.in/yaml/v3"
)

func TestSecretHidesItself(t *testing.T) {
	t.Parallel()
	const value = "hunter2"
	s := NewSecret(value)
	type open struct{ S Secret }
	type closed struct{ s Secret }
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+verb+verb+verb+"\n", s, &s, open{s}, closed{s})
	}
	fmt.Fprintln(&out, s, []Secret{s}, map[string]Secret{"k": s})
	for _, m := range []func(any) ([]byte, error){json.Marshal, yaml.Marshal} {
		b, err := m(open{s})
		if err != nil {
			t.Fatal(err)
		}
		out.Write(b)
	}
	for _, l := range []log.Logger{log.NewLogfmtLogger(&out), log.NewJSONLogger(&out)} {
		if err := l.Log("secret", s, "in", fmt.Sprint(open{s})); err != nil {
			t.Fatal(err)
		}
	}
	slog.New(slog.NewTextHandler(&out, nil)).Info("m", "secret", s, "in", open{s})
	slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "secret", s, "in", open{s})
	if strings.Contains(out.String(), value) || strings.Contains(out.String(), fmt.Sprintf("%x", value)) {
		t.Errorf("the secret shows:\n%s", out.String())
	}
	if got := fmt.Sprint(s); got != "<secret>" {
		t.Errorf("Sprint() = %q, want <secret>", got)
	}
	if got := s.Reveal(); got != value {
		t.Errorf("Reveal() = %q, want %q", got, value)
	}
	if got := (Secret{}).Reveal(); got != "" {
		t.Errorf("the zero Secret reveals %q", got)
	}
}

func TestPassword(t *testing.T) {
	t.Setenv("HYPERVIGIL_TEST_SECRET", "from env")
	t.Setenv("HYPERVIGIL_TEST_EMPTY", "")
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, tc := range []struct {
		name string
		cred Credential
		want string
		err  string // part of it
	}{
		{"a file without a line end", Credential{PasswordFile: write("a", "pw")}, "pw", ""},
		{"a file with a line end", Credential{PasswordFile: write("b", "pw\n")}, "pw", ""},
		{"a file with Windows' line end", Credential{PasswordFile: write("c", "pw\r\n")}, "pw", ""},
		{"only one line end goes", Credential{PasswordFile: write("d", " pw \n\n")}, " pw \n", ""},
		{"the environment", Credential{PasswordEnv: "HYPERVIGIL_TEST_SECRET"}, "from env", ""},
		{"an empty file", Credential{PasswordFile: write("e", "\n")}, "", `"c": ` + filepath.Join(dir, "e") + " is empty"},
		{"a file too long", Credential{PasswordFile: write("f", strings.Repeat("x", maxSecret+1))}, "", "is longer than"},
		{"no file", Credential{PasswordFile: filepath.Join(dir, "none")}, "", filepath.Join(dir, "none")},
		{"a directory", Credential{PasswordFile: dir}, "", dir},
		{"an empty variable", Credential{PasswordEnv: "HYPERVIGIL_TEST_EMPTY"}, "", "HYPERVIGIL_TEST_EMPTY is empty or not set"},
		{"neither", Credential{}, "", "neither"},
	} {
		tc.cred.Name = "c"
		s, err := tc.cred.Password()
		switch {
		case tc.err == "" && err != nil:
			t.Errorf("%s: Password() = %v", tc.name, err)
		case tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err) || !strings.Contains(err.Error(), `"c"`)):
			t.Errorf("%s: Password() = %v, want an error with %q and the credential's name", tc.name, err, tc.err)
		case s.Reveal() != tc.want:
			t.Errorf("%s: Password() = %q, want %q", tc.name, s.Reveal(), tc.want)
		}
	}
}
