package audit

import (
	"errors"
	"fmt"
	"slices"
)

// segments is into how many parts a full record is cut: one of them is dropped at a time.
const segments = 64

// Chain is where the record stands. It is a value: what changes it gives another one and leaves it as it was. The zero
// Chain is empty.
type Chain struct {
	last    uint64
	head    string
	bytes   int64
	parts   []part // closed ones, oldest first
	present part   // the one that grows
}

// part is a run of entries.
type part struct {
	first    uint64
	previous string
	bytes    int64
}

// Last is the newest entry's sequence; 0 where there is none.
func (c Chain) Last() uint64 { return c.last }

// Head is the newest entry's hash; Genesis where there is none.
func (c Chain) Head() string {
	if c.last == 0 {
		return Genesis
	}
	return c.head
}

// Bytes is the size of what is kept.
func (c Chain) Bytes() int64 { return c.bytes }

// First is the oldest entry that is kept; 0 where there is none.
func (c Chain) First() uint64 {
	if len(c.parts) > 0 {
		return c.parts[0].first
	}
	return c.present.first
}

// Append puts an entry at the chain's end, and gives its line. limit is how many bytes are to be kept, see Trim.
func (c Chain) Append(e Entry, limit int64) (Chain, []byte) {
	e.Sequence, e.Previous = c.last+1, c.Head()
	line, hash := e.Line()
	return c.grow(e, hash, int64(len(line)), limit), line
}

func (c Chain) grow(e Entry, hash string, size, limit int64) Chain {
	if c.present.first == 0 || c.present.bytes >= limit/segments {
		if c.present.first != 0 {
			c.parts = append(slices.Clip(c.parts), c.present)
		}
		c.present = part{first: e.Sequence, previous: e.Previous}
	}
	c.present.bytes += size
	c.bytes += size
	c.last, c.head = e.Sequence, hash
	return c
}

// Restore takes in the next line that is in the ledger. It refuses one that does not follow.
func (c Chain) Restore(line []byte, limit int64) (Chain, error) {
	e, hash, err := Parse(line)
	switch {
	case err != nil:
		return c, err
	case c.last == 0 && e.Sequence == 0:
		return c, errors.New("an entry has no sequence")
	case c.last == 0:
	case e.Sequence != c.last+1:
		return c, fmt.Errorf("entry %d follows entry %d", e.Sequence, c.last)
	case e.Previous != c.head:
		return c, fmt.Errorf("entry %d does not follow entry %d as it stands", e.Sequence, c.last)
	}
	return c.grow(e, hash, int64(len(line)), limit), nil
}

// Trim drops the oldest parts where more than limit bytes are kept, and tells which entries that are, from and to
// included, and what the entry has to say that signs it off, for which room is left. ok is false where nothing is
// dropped.
func (c Chain) Trim(limit int64) (kept Chain, from, to uint64, signs Entry, ok bool) {
	if c.bytes <= limit || len(c.parts) == 0 {
		return c, 0, 0, Entry{}, false
	}
	from = c.parts[0].first
	for len(c.parts) > 0 && c.bytes > limit-limit/segments {
		c.bytes -= c.parts[0].bytes
		c.parts = c.parts[1:]
	}
	next := c.present
	if len(c.parts) > 0 {
		next = c.parts[0]
	}
	return c, from, next.first - 1, Entry{
		Event: Trimmed, Kept: &Kept{First: next.first, Previous: next.previous},
		Detail: fmt.Sprintf("entries %d to %d were dropped: receiver.retention.audit_bytes", from, next.first-1),
	}, true
}
