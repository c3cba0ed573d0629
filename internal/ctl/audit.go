package ctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/hypervigil/hypervigil/receiver/audit"
)

// auditHeader tells where an exported record ends (receiver/console).
const auditHeader = "X-Hypervigil-Audit-Head"

// record opens the receiver's record of decisions, and tells the hash that it must end with.
func (a *api) record(ctx context.Context) (body io.ReadCloser, head string, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, a.base.JoinPath("api", "v1", "audit").String(), nil)
	if err != nil {
		return nil, "", err
	}
	streaming := *a.client
	streaming.Timeout = 0 // the record may be long; whoever asks can break it off
	resp, err := streaming.Do(r)
	if err != nil {
		return nil, "", fmt.Errorf("ask the receiver: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		out, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer)) // its status is told in any case
		return nil, "", fmt.Errorf("the receiver answered %s: %s", resp.Status, complaint(out))
	}
	_, head, ok := strings.Cut(resp.Header.Get(auditHeader), " ")
	if !ok {
		resp.Body.Close()
		return nil, "", fmt.Errorf("the receiver does not say where its record ends; is %s its web listener?", a.base.Redacted())
	}
	return resp.Body, head, nil
}

// export writes the record as it comes, and proves it on the way: what was not whole is an error.
func (a *api) export(ctx context.Context, w, told io.Writer) error {
	body, head, err := a.record(ctx)
	if err != nil {
		return err
	}
	defer body.Close()
	report, err := audit.Verify(io.TeeReader(body, w), audit.Expect{Head: head})
	if err != nil {
		return fmt.Errorf("the record is not whole: %w", err)
	}
	_, err = fmt.Fprintf(told, "exported entries %d to %d; the head is %s\n", report.First, report.Last, report.Head)
	return err
}

// verifyFile proves that a file holds a whole record.
func verifyFile(file, head string, w io.Writer) (audit.Report, error) {
	f, err := os.Open(file)
	if err != nil {
		return audit.Report{}, err
	}
	defer f.Close()
	report, err := audit.Verify(f, audit.Expect{Head: head})
	if err != nil {
		return report, fmt.Errorf("%s: %w", file, err)
	}
	_, err = fmt.Fprintf(w, "%s is whole: entries %d to %d, head %s, fingerprint %.0f\n", file, report.First, report.Last, report.Head, audit.Fingerprint(report.Head))
	return report, err
}

// compare proves that what a file holds is what the receiver has, as far as both go.
func (a *api) compare(ctx context.Context, file audit.Report, w io.Writer) error {
	body, head, err := a.record(ctx)
	if err != nil {
		return err
	}
	defer body.Close()
	same := ""
	live, err := audit.Verify(body, audit.Expect{Head: head, Each: func(s audit.Seen) error {
		if s.Sequence == file.Last {
			same = s.Hash
		}
		return nil
	}})
	switch {
	case err != nil:
		return fmt.Errorf("the receiver's own record: %w", err)
	case live.Last < file.Last:
		return fmt.Errorf("the receiver's record ends at entry %d, the file's at entry %d: the receiver's tail is missing", live.Last, file.Last)
	case file.Last == 0:
		return errors.New("the file holds no entry to compare")
	case live.First > file.Last:
		return fmt.Errorf("the receiver's record begins at entry %d, after the file's end at entry %d: they have nothing in common", live.First, file.Last)
	case same != file.Head:
		return fmt.Errorf("entry %d has hash %s in the file and %s in the receiver: one of the two is another record", file.Last, file.Head, same)
	}
	_, err = fmt.Fprintf(w, "the receiver has the same, and %d newer entries, to entry %d\n", live.Last-file.Last, live.Last)
	return err
}
