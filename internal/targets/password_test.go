package targets

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/internal/config"
)

// TestPasswordOfAChangedFile changes a password's file in each way that an administrator's tools have, the one that keeps
// size and time among them.
func TestPasswordOfAChangedFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "pass")
	write := func(path, text string, at time.Time) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	p := &password{credential: &config.Credential{Name: "sql", PasswordFile: file}}
	want := func(step, text string) {
		t.Helper()
		for range 2 { // the second may come from memory
			if got, err := p.get(); err != nil || got.Reveal() != text {
				t.Errorf("%s: password %q, %v, want %q", step, got.Reveal(), err, text)
			}
		}
	}
	old := time.Now().Add(-time.Hour)
	write(file, "one", old)
	want("at first", "one")
	if p.read == nil {
		t.Error("a file that has not changed for an hour is read each time")
	}
	write(file, "two", old.Add(time.Minute))
	want("another time", "two")
	write(file, "three", old.Add(time.Minute))
	want("another size", "three")
	next := file + ".new"
	write(next, "seven", old.Add(time.Minute))
	if err := os.Rename(next, file); err != nil {
		t.Fatal(err)
	}
	want("another file of the same size and time", "seven")
	now := time.Now()
	write(file, "eight", now)
	want("just written", "eight")
	write(file, "nines", now)
	want("written again within the step of the clock", "nines")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if got, err := p.get(); err == nil {
		t.Errorf("the file is gone, and the password is %q", got.Reveal())
	}
	write(file, "ten", old)
	want("back again", "ten")
}
