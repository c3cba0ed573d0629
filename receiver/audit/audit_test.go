package audit_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/receiver/audit"
)

var at = time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)

// written is a chain of n entries, and its lines.
func written(t testing.TB, n int, limit int64) (audit.Chain, [][]byte) {
	t.Helper()
	var c audit.Chain
	var lines [][]byte
	add := func(e audit.Entry) {
		var line []byte
		c, line = c.Append(e, limit)
		lines = append(lines, line)
	}
	for i := range n {
		add(audit.Entry{At: at.Add(time.Duration(i) * time.Second), Event: "held", Incident: "i", Guard: "G8", Detail: fmt.Sprintf("<%d> & \u2028", i)})
		if kept, from, to, signs, ok := c.Trim(limit); ok {
			c = kept
			lines = lines[to-from+1:]
			add(signs)
		}
	}
	return c, lines
}

func file(lines [][]byte) *bytes.Reader {
	return bytes.NewReader(append(bytes.Join(lines, []byte("\n")), '\n'))
}

func TestAChainIsWhole(t *testing.T) {
	t.Parallel()
	c, lines := written(t, 100, 1<<20)
	report, err := audit.Verify(file(lines), audit.Expect{Head: c.Head()})
	want := audit.Report{First: 1, Last: 100, Entries: 100, Head: c.Head()}
	if diff := cmp.Diff(want, report); err != nil || diff != "" {
		t.Errorf("Verify = %v (-want +got):\n%s", err, diff)
	}
	if report, err := audit.Verify(strings.NewReader(""), audit.Expect{}); err != nil || report.Head != audit.Genesis {
		t.Errorf("an empty chain: %+v, %v", report, err)
	}
	// The ledger's writer marshals the line as it is.
	raw, err := json.Marshal(json.RawMessage(lines[3]))
	if err != nil || !bytes.Equal(raw, lines[3]) {
		t.Errorf("the ledger would hold %s (%v), not %s", raw, err, lines[3])
	}
}

// TestTamperingIsNamed: what was done to the record, and where.
func TestTamperingIsNamed(t *testing.T) {
	t.Parallel()
	c, whole := written(t, 20, 1<<20)
	forged := func(line []byte) []byte {
		e, _, err := audit.Parse(line)
		if err != nil {
			t.Fatal(err)
		}
		e.Detail = "nothing happened"
		again, _ := e.Line()
		return again
	}
	for name, tt := range map[string]struct {
		tamper func([][]byte) [][]byte
		expect audit.Expect
		want   string
	}{
		"a letter changed": {func(l [][]byte) [][]byte { l[6] = bytes.Replace(l[6], []byte("held"), []byte("hold"), 1); return l }, audit.Expect{}, "line 7: after entry 6: it was changed"},
		"a line replaced by one with a hash of its own": {func(l [][]byte) [][]byte { l[6] = forged(l[6]); return l }, audit.Expect{}, "line 8: entry 8 does not follow entry 7 as it stands"},
		"a line dropped":               {func(l [][]byte) [][]byte { return slices.Delete(l, 6, 7) }, audit.Expect{}, "line 7: entry 8 follows entry 6: what was between them was dropped"},
		"two lines swapped":            {func(l [][]byte) [][]byte { l[6], l[7] = l[7], l[6]; return l }, audit.Expect{}, "line 7: entry 8 follows entry 6"},
		"a line doubled":               {func(l [][]byte) [][]byte { return slices.Insert(l, 6, l[5]) }, audit.Expect{}, "line 7: entry 6 follows entry 6: lines were swapped or doubled"},
		"the beginning dropped":        {func(l [][]byte) [][]byte { return l[5:] }, audit.Expect{}, "it begins at entry 6, and no entry says"},
		"the last line cut off":        {func(l [][]byte) [][]byte { l[19] = l[19][:40]; return l }, audit.Expect{}, "line 20: after entry 19: it is no whole line"},
		"the tail dropped":             {func(l [][]byte) [][]byte { return l[:15] }, audit.Expect{Head: c.Head()}, "it ends at entry 15"},
		"an empty line put in":         {func(l [][]byte) [][]byte { return slices.Insert(l, 6, []byte{}) }, audit.Expect{}, "line 7: after entry 6: it is no whole line"},
		"the last line forged":         {func(l [][]byte) [][]byte { l[19] = forged(l[19]); return l }, audit.Expect{Head: c.Head()}, "it is another chain"},
		"everything gone but its head": {func([][]byte) [][]byte { return nil }, audit.Expect{Head: c.Head()}, "line 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lines := slices.Clone(whole)
			_, err := audit.Verify(file(tt.tamper(lines)), tt.expect)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Verify = %v, want %q", err, tt.want)
			}
		})
	}
}

// TestTheLastLineWithoutItsEndIsNamed: a copy that was broken off.
func TestTheLastLineWithoutItsEndIsNamed(t *testing.T) {
	t.Parallel()
	_, lines := written(t, 3, 1<<20)
	all := append(bytes.Join(lines, []byte("\n")), '\n')
	_, err := audit.Verify(bytes.NewReader(all[:len(all)-20]), audit.Expect{})
	if err == nil || !strings.Contains(err.Error(), "line 3: the last line is cut off") {
		t.Errorf("Verify = %v, want the last line named", err)
	}
}

// TestWhatIsDroppedForItsSizeIsSignedOff: the record stays within its bound, and what is left is a chain.
func TestWhatIsDroppedForItsSizeIsSignedOff(t *testing.T) {
	t.Parallel()
	const limit = 32 << 10
	c, lines := written(t, 2000, limit)
	size := int64(0)
	for _, l := range lines {
		size += int64(len(l))
	}
	if size != c.Bytes() || size > limit || size < limit*3/4 {
		t.Errorf("%d bytes are kept, %d by the chain's count, of %d", size, c.Bytes(), limit)
	}
	report, err := audit.Verify(file(lines), audit.Expect{Head: c.Head()})
	if err != nil || report.First != c.First() || report.First == 1 || report.Last != c.Last() {
		t.Errorf("Verify = %+v, %v; the chain goes from %d to %d", report, err, c.First(), c.Last())
	}
	if _, err := audit.Verify(file(lines[1:]), audit.Expect{}); err == nil {
		t.Error("a beginning that was cut off by somebody else was taken for one that was signed off")
	}
	// What is read back from the ledger is the same chain, whatever is cut next.
	var back audit.Chain
	for _, l := range lines {
		if back, err = back.Restore(l, limit); err != nil {
			t.Fatal(err)
		}
	}
	if back.Head() != c.Head() || back.First() != c.First() || back.Bytes() != c.Bytes() || back.Last() != c.Last() {
		t.Errorf("read back: %d to %d, %d bytes; was %d to %d, %d bytes", back.First(), back.Last(), back.Bytes(), c.First(), c.Last(), c.Bytes())
	}
}

func TestAppendLeavesTheChainAsItWas(t *testing.T) {
	t.Parallel()
	c, _ := written(t, 50, 4<<10)
	before := c.Head()
	a, one := c.Append(audit.Entry{Event: "a"}, 4<<10)
	b, two := c.Append(audit.Entry{Event: "b"}, 4<<10)
	if c.Head() != before || a.Head() == b.Head() || bytes.Equal(one, two) {
		t.Error("appending to a chain changed it, or made one of two")
	}
}

func FuzzVerify(f *testing.F) {
	_, lines := written(f, 3, 1<<20)
	all := append(bytes.Join(lines, []byte("\n")), '\n')
	f.Add(all)
	f.Add(all[:len(all)/2])
	f.Add([]byte("{}\n"))
	f.Add([]byte(`{"sequence":1,"hash":"` + audit.Genesis + `"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var seen [][]byte
		report, err := audit.Verify(bytes.NewReader(data), audit.Expect{Each: func(s audit.Seen) error {
			seen = append(seen, []byte(s.Hash))
			return nil
		}})
		if report.Entries != len(seen) {
			t.Errorf("%d entries, %d seen", report.Entries, len(seen))
		}
		if err == nil && len(bytes.TrimRight(data, "\n")) > 0 && report.Entries == 0 {
			t.Errorf("%q was taken for an empty chain", data)
		}
		var c audit.Chain
		for line := range bytes.SplitSeq(data, []byte("\n")) {
			var bad error
			if c, bad = c.Restore(line, 1<<20); bad != nil {
				if errors.Is(bad, audit.ErrChanged) && err == nil {
					t.Errorf("Restore refuses what Verify takes: %v", bad)
				}
				return
			}
		}
	})
}
