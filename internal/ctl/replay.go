package ctl

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"
	"time"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/replay"
)

// replayTimeout bounds the fetching of a recording and its play, which go on at the same time.
const replayTimeout = 30 * time.Minute

// moments reads --since: a time, or how long ago; zero for none.
func moments(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(s); err == nil && d > 0 {
		return now.Add(-d), nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, fmt.Errorf("--since %q is neither a time such as 2026-11-24T12:00:00Z nor how long ago, such as 24h", s)
	}
	return t, nil
}

// replay plays the recording as it comes.
func (a *api) replay(ctx context.Context, w io.Writer, since time.Time, cfg *config.Config, asJSON bool) error {
	u := a.base.JoinPath("api", "v1", "replay")
	if !since.IsZero() {
		q := u.Query()
		q.Set("since", since.UTC().Format(time.RFC3339Nano))
		u.RawQuery = q.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return err
	}
	client := *a.client
	client.Timeout = replayTimeout
	resp, err := client.Do(r)
	if err != nil {
		return fmt.Errorf("ask the receiver: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		out, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
		if err != nil {
			return fmt.Errorf("read the receiver's answer: %w", err)
		}
		return fmt.Errorf("the receiver answered %s: %s", resp.Status, complaint(out))
	}
	report, err := replay.Run(recordedLines(resp.Body), replay.Options{Config: cfg, Since: since})
	if err != nil {
		return err
	}
	if asJSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(report)
	}
	return writeReplay(w, report)
}

// recordedLines yields the lines of a recording, of any length: a checkpoint is one line.
func recordedLines(r io.Reader) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		in := bufio.NewReaderSize(r, 64<<10)
		for {
			line, err := in.ReadBytes('\n')
			if errors.Is(err, io.EOF) {
				return
			}
			if !yield(line, err) || err != nil {
				return
			}
		}
	}
}

func writeReplay(w io.Writer, r replay.Report) error {
	p := &printer{w: w}
	p.line("played %d events from %s to %s: %d decisions about %d incidents, %d would have been decided differently", r.Events, moment(r.From), moment(r.To), r.Decisions, r.Incidents, len(r.Differences))
	if r.Damaged > 0 {
		p.line("%d lines could not be read; what follows each, up to the next checkpoint, was left out", r.Damaged)
	}
	for _, d := range r.Differences {
		subject := d.VM.String()
		if d.Instance != evidence.NoInstance && d.Instance != "" {
			subject += "/" + d.Instance
		}
		p.line("\n%s  %s, fault %s, from %s on not comparable", d.Incident, subject, d.Fault, moment(d.At))
		p.line("  recorded: %s", said(d.Recorded))
		p.line("  replayed: %s", said(d.Replayed))
		p.line("  what really happened: %s", said(d.Outcome))
		if d.Outcome != nil && d.Outcome.Summary != "" {
			p.line("    %s", d.Outcome.Summary)
		}
		if len(d.After) > 0 {
			p.line("  it may come of an earlier difference in the same cluster: %s", strings.Join(d.After, ", "))
		}
	}
	return p.err
}

// said is a decision in words.
func said(d *replay.Decision) string {
	if d == nil {
		return "nothing was decided at that moment"
	}
	return d.String()
}
