package receiver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-kit/log/level"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/incident"
	"github.com/hypervigil/hypervigil/receiver/intake"
	"github.com/hypervigil/hypervigil/receiver/ledger"
)

// openLedger opens the ledger, and carries one over that an older receiver left.
func (r *Receiver) openLedger(cfg *config.Config) error {
	carried, records, head := false, 0, ""
	var err error
	r.store, err = ledger.OpenBolt(cfg.Receiver.Ledger.Path, ledger.Options{Carry: func(list ledger.Records) error {
		state, n, err := readable(cfg, list)
		carried, records, head = true, n, state.Audit.Head()
		return err
	}})
	if err == nil && carried {
		level.Info(r.options.Logger).Log("msg", "ledger of an older receiver carried over", "ledger", cfg.Receiver.Ledger.Path, "records", records,
			"schema", ledger.Schema, "audit_head", head)
	}
	return err
}

// readable reads every record of a ledger whose records have no seal: each must be of a kind that a receiver writes, stand
// under the key of what it says, and be one that this receiver goes on from; the audit's chain must be whole. A start asks
// less: it passes over what it does not know.
func readable(cfg *config.Config, list ledger.Records) (incident.State, int, error) {
	var records []incident.Record
	err := list.List(context.Background(), "", func(key string, value []byte) error {
		if err := kindOf(key, value); err != nil {
			return fmt.Errorf("ledger record %s: %w", key, err)
		}
		records = append(records, incident.Record{Key: key, Value: slices.Clone(value)})
		return nil
	})
	if err != nil {
		return incident.State{}, 0, err
	}
	if err := intake.Check(context.Background(), list); err != nil {
		return incident.State{}, 0, err
	}
	state, _, err := incident.Restore(cfg, records, epoch, time.Now())
	return state, len(records), err
}

// kindOf refuses a record of no kind, and a bundle of evidence that cannot be read, which no start reads. The records of
// the other kinds are their readers' to judge.
func kindOf(key string, value []byte) error {
	switch kind, _, _ := strings.Cut(key, "/"); kind {
	case "meta", "intake", "delivery", "incident", "action", "vm", "cluster", "audit", "pause":
		return nil
	case "bundle":
		var b evidence.Bundle
		if err := json.Unmarshal(value, &b); err != nil {
			return err
		}
		if want := ledger.Key("bundle", b.Incident, fmt.Sprintf("%03d", b.Number)); key != want {
			return fmt.Errorf("it is %s", want)
		}
		return nil
	}
	return errors.New("no receiver writes such a one")
}
