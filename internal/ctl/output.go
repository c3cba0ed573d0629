package ctl

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"
)

// put writes what was generated to dir/name, or to stdout where there is no dir. The file is replaced as a whole:
// a Prometheus that reloads meanwhile reads the old one or the new one.
func put(stdout io.Writer, dir, name string, content []byte) (err error) {
	if dir == "" {
		_, err := stdout.Write(content)
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make --out: %w", err)
	}
	f, err := os.CreateTemp(dir, "."+name+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	defer func() {
		if err != nil {
			f.Close()           // closed already where that was not the trouble
			os.Remove(f.Name()) // gone already where it was renamed
			err = fmt.Errorf("write %s: %w", name, err)
		}
	}()
	if _, err := f.Write(content); err != nil {
		return err
	}
	// Prometheus and Alertmanager run as users of their own; nothing in it is secret.
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	file := filepath.Join(dir, name)
	if err := os.Rename(f.Name(), file); err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, file)
	return err
}

// moment writes a time for a reader: UTC, seconds; nothing for none.
func moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

// table writes rows in columns.
func table(w io.Writer, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		fmt.Fprintln(t, strings.Join(r, "\t")) // the writer keeps its first error for Flush
	}
	return t.Flush()
}

// printer writes lines and keeps the first error.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

func (p *printer) table(rows [][]string) {
	if p.err == nil {
		p.err = table(p.w, rows)
	}
}

// or returns s, or other where s is empty.
func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
