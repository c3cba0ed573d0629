package site

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hypervigil/hypervigil/internal/config"
)

const wrongPassword = "not-the-password-of-anybody"

// load reads a lab's configuration, after edit has changed its text; it may name the credential "broken".
func load(t *testing.T, path string, edit func(string) string) *config.Config {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	if edit != nil {
		secret := filepath.Join(t.TempDir(), "broken.pass")
		if err := os.WriteFile(secret, []byte(wrongPassword), 0o600); err != nil {
			t.Fatal(err)
		}
		text = edit(strings.Replace(text, "credentials:\n", "credentials:\n  broken: {username: hv-reader, password_file: \""+secret+"\"}\n", 1))
	}
	cfg, err := config.Parse(path, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}
