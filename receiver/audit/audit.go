// Package audit is the record of what was decided: one line of JSON for each decision and each refusal, chained by
// hashes, so that a line that was changed, dropped, swapped or put in is noticed (G30). It is pure: receiver/incident
// makes the entries and keeps them in the ledger, in the same commit as what they tell of.
//
// The hash of a line is the SHA-256 of the line without its last member, `,"hash":"…"`: anybody can compute it with
// what his system brings. Each line names the hash of the one before, the first one that of nothing (Genesis).
//
//	report, err := audit.Verify(file, audit.Expect{})
//
// A chain cannot show that its newest lines were cut off: for that the receiver tells its head on /metrics, in its log
// and in the export's header, and Expect takes it.
package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hypervigil/hypervigil/receiver/ledger"
)

// Genesis is the previous hash of the first entry that ever was.
const Genesis = "0000000000000000000000000000000000000000000000000000000000000000"

// Trimmed is the event of an entry that says up to where older ones were dropped for their size. Who verifies a chain
// that does not begin at 1 looks for it.
const Trimmed = "audit trimmed"

// Entry is one decision, refusal or word of a person.
type Entry struct {
	Sequence uint64    `json:"sequence"` // from 1, without a gap
	Epoch    uint64    `json:"epoch"`    // the writer's fencing token (G28)
	At       time.Time `json:"at"`
	Event    string    `json:"event"`
	Incident string    `json:"incident,omitempty"`
	Cluster  string    `json:"cluster,omitempty"`
	VM       string    `json:"vm,omitempty"`
	By       string    `json:"by,omitempty"`    // the person, where one spoke
	Guard    string    `json:"guard,omitempty"` // of a verdict, as Outcome and Reason
	Outcome  string    `json:"outcome,omitempty"`
	Reason   string    `json:"reason,omitempty"`
	Detail   string    `json:"detail,omitempty"`
	Kept     *Kept     `json:"kept,omitempty"` // of Trimmed
	Previous string    `json:"previous"`       // the hash of the entry before
}

// Kept is where a chain begins since its beginning was dropped.
type Kept struct {
	First    uint64 `json:"first"`
	Previous string `json:"previous"` // what the first entry kept says of the one before it
}

// Key is the entry's key in the ledger.
func Key(sequence uint64) string { return ledger.Key("audit", fmt.Sprintf("%020d", sequence)) }

// hashMember is what a line ends with, without the hash itself.
const (
	hashMember = `,"hash":"`
	lineEnd    = `"}`
)

// Line gives the entry's line, without a line end, and its hash.
func (e Entry) Line() (line []byte, hash string) {
	e.At = e.At.UTC()
	body, err := json.Marshal(e)
	if err != nil {
		panic("audit entry cannot be marshalled: " + err.Error()) // strings and numbers of ours: a bug
	}
	hash = sum(body)
	line = append(body[:len(body)-1], hashMember...)
	line = append(line, hash...)
	return append(line, lineEnd...), hash
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// The ways in which one line is none of ours.
var (
	ErrCut     = errors.New("it is no whole line of the record")
	ErrChanged = errors.New("it was changed: its hash is not that of its content")
)

// Parse reads a line and proves that its hash is that of its content.
func Parse(line []byte) (e Entry, hash string, err error) {
	at := len(line) - len(hashMember) - len(Genesis) - len(lineEnd)
	if at < 1 || string(line[at:at+len(hashMember)]) != hashMember || string(line[len(line)-len(lineEnd):]) != lineEnd {
		return Entry{}, "", ErrCut
	}
	hash = string(line[at+len(hashMember) : len(line)-len(lineEnd)])
	body := append(line[:at:at], '}')
	if sum(body) != hash {
		return Entry{}, "", ErrChanged
	}
	if err := json.Unmarshal(body, &e); err != nil {
		return Entry{}, "", fmt.Errorf("%w: %w", ErrChanged, err)
	}
	return e, hash, nil
}

// Fingerprint is the first 48 bits of a hash as a number, which a metric can carry exactly.
func Fingerprint(hash string) float64 {
	b, err := hex.DecodeString(hash)
	if err != nil || len(b) < 6 {
		return 0
	}
	n := uint64(0)
	for _, octet := range b[:6] {
		n = n<<8 | uint64(octet)
	}
	return float64(n)
}
