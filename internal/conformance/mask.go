package conformance

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Mask replaces names. A name that it was told of becomes the same word each time ("node-1"), so that a report can still
// be read; what looks like an address, an identifier or an account is replaced although nobody told of it.
type Mask struct {
	names []masked
	count map[string]int
	// secrets must not be in a report in any form; there is no word for them.
	secrets []string
}

type masked struct{ name, word string }

// Name tells of a name of a kind. An empty one, and one that is a word of every Windows, is none.
func (m *Mask) Name(kind, name string) {
	name = strings.TrimSpace(name)
	if name == "" || slices.ContainsFunc(m.names, func(k masked) bool { return strings.EqualFold(k.name, name) }) || everyones(name) {
		return
	}
	if m.count == nil {
		m.count = map[string]int{}
	}
	m.count[kind]++
	m.names = append(m.names, masked{name, fmt.Sprintf("%s-%d", kind, m.count[kind])})
	// The longest first: a name may be a part of another.
	slices.SortStableFunc(m.names, func(a, b masked) int { return cmp.Compare(len(b.name), len(a.name)) })
}

// Alias tells of another name of what has one: it becomes the same word.
func (m *Mask) Alias(name, of string) {
	for _, k := range m.names {
		if strings.EqualFold(k.name, of) && name != "" && !strings.EqualFold(name, of) && !everyones(name) {
			m.names = append(m.names, masked{name, k.word})
			slices.SortStableFunc(m.names, func(a, b masked) int { return cmp.Compare(len(b.name), len(a.name)) })
			return
		}
	}
}

// Secret tells of something that must not appear at all.
func (m *Mask) Secret(s string) {
	if s != "" {
		m.secrets = append(m.secrets, s)
	}
}

// everyones are names that say nothing about a site.
func everyones(name string) bool {
	return slices.Contains([]string{"mssqlserver", "sqlserveragent", "hypervigil", "localhost", "127.0.0.1", "::1", "cluster group", "available storage"}, strings.ToLower(name))
}

// shapes are what names look like that nobody told of.
var shapes = []struct {
	pattern *regexp.Regexp
	word    string
}{
	{regexp.MustCompile(`(?i)\{?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\}?`), "<guid>"},
	{regexp.MustCompile(`S-1-\d+(-\d+)+`), "<sid>"},
	{regexp.MustCompile(`\\\\[^\s\\"]+(\\[^\s\\"]+)+`), "<path>"},
	{regexp.MustCompile(`(?i)\b[a-z]:\\[^\s"]+`), "<path>"},
	{regexp.MustCompile(`[\w.+-]+@[\w-]+(\.[\w-]+)*`), "<account>"},
	{regexp.MustCompile(`\b[A-Za-z][\w.-]*\\[\w.$-]+`), "<account>"},
	{regexp.MustCompile(`\b\d{1,3}(\.\d{1,3}){3}(:\d+)?\b`), "<address>"},
	{regexp.MustCompile(`(?i)\b(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}\b`), "<mac>"},
	{regexp.MustCompile(`(?i)\[?(?:\b[0-9a-f]{1,4}:){3,7}[0-9a-f]{1,4}\b\]?|\bfe80::[0-9a-f:]+(?:%[\w.-]+)?|\[?[0-9a-f:]*::[0-9a-f:]+\]?`), "<address>"},
	// The name of a machine with its domain; numbers with dots are versions.
	{regexp.MustCompile(`(?i)\b[a-z][a-z0-9-]*(\.[a-z0-9-]+){2,}\b`), "<host>"},
}

// versions are the shape that an address of four numbers shares with a version of Windows or SQL Server.
var versions = regexp.MustCompile(`\b(1[0-9]|[6-9])\.[0-9]\.\d{3,5}\.\d{1,5}\b`)

// Text returns the text without names.
func (m *Mask) Text(s string) string {
	for _, k := range m.names {
		s = replaceName(s, k.name, k.word)
	}
	// Versions are evidence, and look like addresses only where they have four parts.
	var kept []string
	s = versions.ReplaceAllStringFunc(s, func(v string) string {
		kept = append(kept, v)
		return "\x00"
	})
	for _, shape := range shapes {
		s = shape.pattern.ReplaceAllString(s, shape.word)
	}
	for _, v := range kept {
		s = strings.Replace(s, "\x00", v, 1)
	}
	return s
}

// replaceName replaces a name whatever its case. A short one only where it stands for itself: "A" is a letter of most
// words.
func replaceName(s, name, word string) string {
	lower, find := strings.ToLower(s), strings.ToLower(name)
	if len(lower) != len(s) { // a letter whose small form is longer; its case is then as it was given
		lower, find = s, name
	}
	var b strings.Builder
	at := 0
	for {
		i := strings.Index(lower[at:], find)
		if i < 0 {
			b.WriteString(s[at:])
			return b.String()
		}
		from, to := at+i, at+i+len(find)
		if len(name) < 4 && (inWord(s[:from], true) || inWord(s[to:], false)) || numberGoesOn(s[from:to], s[to:]) {
			b.WriteString(s[at:to])
		} else {
			b.WriteString(s[at:from] + word)
		}
		at = to
	}
}

// numberGoesOn reports whether a name ends within a number: HV10 is not in HV100.
func numberGoesOn(name, rest string) bool {
	digit := func(b byte) bool { return b >= '0' && b <= '9' }
	return rest != "" && digit(name[len(name)-1]) && digit(rest[0])
}

// inWord reports whether a text ends, or begins, with a letter or a digit.
func inWord(s string, end bool) bool {
	r, size := utf8.DecodeRuneInString(s)
	if end {
		r, size = utf8.DecodeLastRuneInString(s)
	}
	return size > 0 && (unicode.IsLetter(r) || unicode.IsDigit(r))
}

// Leak reports what of a report must not be in it: a secret, or a name that was told of.
func (m *Mask) Leak(report string) error {
	for _, s := range m.secrets {
		if strings.Contains(report, s) {
			return fmt.Errorf("the report holds a secret, and is not written")
		}
	}
	for _, k := range m.names {
		if replaceName(report, k.name, "") != report {
			return fmt.Errorf("the report holds the name of %s, and is not written", k.word)
		}
	}
	return nil
}
