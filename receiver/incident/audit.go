package incident

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/hypervigil/hypervigil/receiver/audit"
	"github.com/hypervigil/hypervigil/receiver/guard"
)

// note takes an entry down for the audit's record (G30); about may be nil. It becomes part of the chain at the end of
// the Step, in the same commit as what it tells of.
func (st *stepper) note(about *Incident, e audit.Entry) {
	if about != nil {
		e.Incident, e.Cluster, e.VM = about.ID, about.Cluster, about.VM.Name
	}
	e.At, e.Epoch = st.now, st.s.Epoch
	st.entries = append(st.entries, e)
}

// refusal counts one verdict that does not pass, and takes it down; i may be nil.
func (st *stepper) refusal(i *Incident, v guard.Verdict) {
	st.emit(Refusal{Guard: v.Guard, Outcome: string(v.Outcome), Reason: v.Reason})
	st.note(i, audit.Entry{Event: "verdict", Guard: v.Guard, Outcome: string(v.Outcome), Reason: v.Reason, Detail: v.Detail})
}

// passed takes down on what a rung begins: who approved it, and that no guard stood against it.
func (st *stepper) passed(i *Incident, by string) {
	var words []string
	for _, v := range i.Verdicts {
		words = append(words, v.Guard+" "+string(v.Outcome))
	}
	st.note(i, audit.Entry{Event: "decided", By: by, Detail: strings.Join(words, ", ")})
}

// chain appends what was taken down to the record, and drops the oldest of it where it has grown too large.
func (st *stepper) chain() {
	if len(st.entries) == 0 {
		return
	}
	limit := st.s.Config.Receiver.Retention.AuditBytes
	put := func(e audit.Entry) {
		var line []byte
		st.s.Audit, line = st.s.Audit.Append(e, limit)
		st.emit(Put{Key: audit.Key(st.s.Audit.Last()), Value: json.RawMessage(line)})
	}
	for _, e := range st.entries {
		put(e)
	}
	st.entries = nil
	kept, from, to, signs, ok := st.s.Audit.Trim(limit)
	if !ok {
		return
	}
	st.s.Audit = kept
	for n := from; n <= to; n++ {
		st.emit(Delete{Key: audit.Key(n)})
	}
	signs.At, signs.Epoch = st.now, st.s.Epoch
	put(signs)
}

// restoreAudit takes in the next line of the record that an earlier life left.
func (s *State) restoreAudit(r Record) error {
	c, err := s.Audit.Restore(r.Value, s.Config.Receiver.Retention.AuditBytes)
	if err == nil && audit.Key(c.Last()) != r.Key {
		err = fmt.Errorf("it stands under another entry's key than %d's", c.Last())
	}
	if err != nil {
		return fmt.Errorf("the audit's record is not as the receiver wrote it: %w. Keep a copy of the ledger and find out who changed it; then restore an earlier copy, or move it away and start with a new one", err)
	}
	s.Audit = c
	return nil
}
