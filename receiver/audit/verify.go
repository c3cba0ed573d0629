package audit

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// maxLine bounds a line of the record.
const maxLine = 1 << 20

// Expect is what somebody knows of a chain from elsewhere. The zero Expect is nothing.
type Expect struct {
	Head string           // the newest entry's hash
	Each func(Seen) error // called for each entry that follows as it should
}

// Seen is one entry and its hash.
type Seen struct {
	Entry
	Hash string
}

// Report is what a chain is found to be.
type Report struct {
	First, Last uint64
	Entries     int
	Head        string // Genesis of an empty one
}

// Verify reads lines and proves that they are one chain, whole from its first line to its last. The error says which
// line is not as it was written, in words.
func Verify(r io.Reader, x Expect) (Report, error) {
	v := verifier{report: Report{Head: Genesis}}
	lines := bufio.NewReaderSize(r, 64<<10)
	for n := 1; ; n++ {
		line, err := readLine(lines)
		if err != nil && !errors.Is(err, io.EOF) {
			return v.report, fmt.Errorf("line %d: %w", n, err)
		}
		ended := errors.Is(err, io.EOF)
		if ended && len(line) == 0 {
			break
		}
		seen, err := v.line(line)
		if err != nil {
			if ended && errors.Is(err, ErrCut) {
				err = fmt.Errorf("the last line is cut off: %w", err)
			}
			return v.report, fmt.Errorf("line %d: %w", n, err)
		}
		if x.Each != nil {
			if err := x.Each(seen); err != nil {
				return v.report, err
			}
		}
		if ended {
			break
		}
	}
	return v.report, v.end(x)
}

func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > maxLine:
			return nil, fmt.Errorf("it is longer than %d bytes", maxLine)
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err == nil:
			line = line[:len(line)-1]
		}
		return line, err
	}
}

// verifier goes along a chain.
type verifier struct {
	report   Report
	previous string // what the first line says of the one before it
	signed   bool   // an entry signs the chain's beginning off
}

func (v *verifier) line(line []byte) (Seen, error) {
	e, hash, err := Parse(line)
	switch last := v.report.Last; {
	case err != nil && v.report.Entries > 0:
		return Seen{}, fmt.Errorf("after entry %d: %w", last, err)
	case err != nil:
		return Seen{}, err
	case v.report.Entries == 0:
		if e.Sequence == 0 || e.Sequence == 1 && e.Previous != Genesis {
			return Seen{}, fmt.Errorf("entry %d is not the first of a chain", e.Sequence)
		}
		v.report.First, v.previous = e.Sequence, e.Previous
	case e.Sequence > last+1:
		return Seen{}, fmt.Errorf("entry %d follows entry %d: what was between them was dropped, or lines were swapped", e.Sequence, last)
	case e.Sequence <= last:
		return Seen{}, fmt.Errorf("entry %d follows entry %d: lines were swapped or doubled", e.Sequence, last)
	case e.Previous != v.report.Head:
		return Seen{}, fmt.Errorf("entry %d does not follow entry %d as it stands: one of the two was replaced", e.Sequence, last)
	}
	if k := e.Kept; e.Event == Trimmed && k != nil && k.First == v.report.First && k.Previous == v.previous {
		v.signed = true
	}
	v.report.Entries++
	v.report.Last, v.report.Head = e.Sequence, hash
	return Seen{e, hash}, nil
}

// end judges what only the whole shows: the beginning must be one, or signed off, and the end the one expected.
func (v *verifier) end(x Expect) error {
	switch {
	case v.report.First > 1 && !v.signed:
		return fmt.Errorf("it begins at entry %d, and no entry says that those before it were dropped for their size: the beginning is missing", v.report.First)
	case x.Head != "" && x.Head != v.report.Head:
		return fmt.Errorf("it ends at entry %d with hash %s, and not with the head %s: the tail is missing, or it is another chain", v.report.Last, v.report.Head, x.Head)
	}
	return nil
}
