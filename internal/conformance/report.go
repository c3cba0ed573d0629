package conformance

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/common/version"
)

// Report is what was found, without a name or a secret of the site's.
type Report struct {
	Program    string    `json:"program"`
	Assertions int       `json:"assertions"`
	Outcomes   []Outcome `json:"outcomes"`

	masks *Mask
}

func (r *Report) add(o Outcome) { r.Outcomes = append(r.Outcomes, o) }

// mask takes the names out, once everything that was met is known.
func (r *Report) mask(m *Mask) {
	r.masks, r.Program = m, "hypervigil "+version.Info()
	for i := range r.Outcomes {
		o := &r.Outcomes[i]
		o.At, o.Says = m.Text(o.At), m.Text(o.Says)
		for j := range o.Evidence {
			o.Evidence[j] = m.Text(o.Evidence[j])
		}
	}
}

// Count is how many outcomes had a result.
func (r Report) Count(result Result) (n int) {
	for _, o := range r.Outcomes {
		if o.Result == result {
			n++
		}
	}
	return n
}

// Text is the report for a reader: what fails first.
func (r Report) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%d assertions, looked at %d times: %d hold, %d fail, %d unseen\n", r.Program, r.Assertions, len(r.Outcomes), r.Count(Holds), r.Count(Fails), r.Count(Unseen))
	b.WriteString("Names are replaced; there is no user name, password or address in this report.\n")
	for _, result := range []Result{Fails, Unseen, Holds} {
		for _, o := range r.Outcomes {
			if o.Result != result {
				continue
			}
			at := ""
			if o.At != "" {
				at = " at " + o.At
			}
			fmt.Fprintf(&b, "\n%-6s %s%s (%s)\n       %s\n       relies on: %s\n       source: %s\n", strings.ToUpper(string(o.Result)), o.Name, at,
				o.Took.Round(time.Millisecond), o.Says, o.Relies, o.Source)
			for _, e := range o.Evidence {
				fmt.Fprintf(&b, "       | %s\n", e)
			}
		}
	}
	return b.String()
}

// JSON is the report for a program.
func (r Report) JSON() ([]byte, error) { return json.MarshalIndent(r, "", "  ") }

// Write writes report.txt and report.json into a folder, unless either still holds what it must not.
func (r Report) Write(dir string) error {
	if r.masks == nil {
		return errors.New("the report was not masked")
	}
	encoded, err := r.JSON()
	if err != nil {
		return err
	}
	text := r.Text()
	// The fields that are ours cannot hold a name of the site's; a site may have a name that is a word of ours.
	var found strings.Builder
	for _, o := range r.Outcomes {
		fmt.Fprintln(&found, o.At, o.Says, strings.Join(o.Evidence, "\n"))
	}
	if err := r.masks.Leak(withoutWords(found.String(), r.masks)); err != nil {
		return err
	}
	for _, s := range r.masks.secrets {
		if strings.Contains(text, s) || strings.Contains(string(encoded), s) {
			return errors.New("the report holds a secret, and is not written")
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return errors.Join(os.WriteFile(filepath.Join(dir, "report.txt"), []byte(text), 0o644), os.WriteFile(filepath.Join(dir, "report.json"), append(encoded, '\n'), 0o644))
}

// withoutWords takes the words out that stand for names: a node that is called "node-1" is well masked as "node-1".
func withoutWords(s string, m *Mask) string {
	for _, k := range m.names {
		s = strings.ReplaceAll(s, k.word, "")
	}
	return s
}
