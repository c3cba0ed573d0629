package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Problem is one thing wrong with a file.
type Problem struct {
	File    string
	Line    int    // 0 where there is none
	Path    string // the field, such as clusters[0].nodes[1].name; empty for the file as a whole
	Message string
}

func (p *Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
	}
	b.WriteString(": ")
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	b.WriteString(p.Message)
	return b.String()
}

// problems collects what is wrong, and knows in which line each field stands.
type problems struct {
	file  string
	lines map[string]int // by path
	list  []*Problem
	bad   map[string]bool // paths that already have a problem
}

// add notes a problem of the field at path. A line of 0 means the field's own, or that of the nearest field around it.
func (p *problems) add(path string, line int, format string, args ...any) {
	for at := path; line == 0; at = parent(at) {
		line = p.lines[at]
		if at == "" {
			break
		}
	}
	p.bad[path] = true
	p.list = append(p.list, &Problem{File: p.file, Line: line, Path: path, Message: fmt.Sprintf(format, args...)})
}

// check adds a problem found in a value that was decoded; where decoding itself already complained about the field,
// what the checks say is only a consequence of it.
func (p *problems) check(path, format string, args ...any) {
	if !p.bad[path] {
		p.add(path, 0, format, args...)
	}
}

func parent(path string) string {
	return path[:max(strings.LastIndexByte(path, '.'), strings.LastIndexByte(path, '['), 0)]
}

func (p *problems) err() error {
	slices.SortStableFunc(p.list, func(a, b *Problem) int { return a.Line - b.Line })
	errs := make([]error, len(p.list))
	for i, problem := range p.list {
		errs[i] = problem
	}
	return errors.Join(errs...)
}

// Load reads and checks the file at path. The error joins one *Problem for each thing that is wrong.
func Load(path string) (*Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return Parse(path, data)
}

// Parse decodes and checks data; filename is only for messages. The error joins one *Problem for each thing that is
// wrong.
func Parse(filename string, data []byte) (*Config, error) {
	root, err := document(filename, data)
	if err != nil {
		return nil, err
	}
	p := &problems{file: filename, lines: map[string]int{}, bad: map[string]bool{}}
	c := Default()
	d := &decoder{problems: p, empty: map[string]bool{}}
	d.value(root, reflect.ValueOf(c).Elem(), "")
	c.complete(d)
	(&validator{problems: p, config: c, receiver: d.given("receiver")}).run()
	if err := p.err(); err != nil {
		return nil, err
	}
	return c, nil
}

// Report adds a problem of the field at path, as Problem names it.
type Report func(path, format string, args ...any)

// Decode decodes a file of another kind than hypervigil.yml, as strictly: into is a pointer to a struct with yaml tags.
// check, where it is not nil, looks at what was decoded and reports what is wrong with it; what it reports of a field that
// could not be decoded is dropped. The error joins one *Problem for each thing that is wrong.
func Decode(filename string, data []byte, into any, check func(Report)) error {
	root, err := document(filename, data)
	if err != nil {
		return err
	}
	p := &problems{file: filename, lines: map[string]int{}, bad: map[string]bool{}}
	(&decoder{problems: p, empty: map[string]bool{}}).value(root, reflect.ValueOf(into).Elem(), "")
	if check != nil {
		check(p.check)
	}
	return p.err()
}

// document is the root of the one document that a file holds.
func document(filename string, data []byte) (*yaml.Node, error) {
	in := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	switch err := in.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, &Problem{File: filename, Message: "the file is empty"}
	case err != nil:
		return nil, &Problem{File: filename, Message: err.Error()}
	}
	if len(doc.Content) != 1 || doc.Content[0].ShortTag() == "!!null" {
		return nil, &Problem{File: filename, Message: "the file is empty"}
	}
	switch err := in.Decode(&second); {
	case err == nil:
		return nil, &Problem{File: filename, Line: second.Line, Message: "a second document begins here; one file holds one"}
	case !errors.Is(err, io.EOF):
		return nil, &Problem{File: filename, Message: err.Error()}
	}
	return doc.Content[0], nil
}
