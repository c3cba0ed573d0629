package receiver_test

import (
	"bytes"
	"net/http"
	"testing"

	"github.com/hypervigil/hypervigil/receiver/replay"
)

// replays fetches what the receiver recorded and proves that it comes to the same decisions when it is played.
func replays(t *testing.T, web string) {
	t.Helper()
	code, text := get(t, web+"/api/v1/replay")
	if code != http.StatusOK {
		t.Fatalf("recording: %d %s", code, text)
	}
	report, err := replay.Run(func(yield func([]byte, error) bool) {
		for l := range bytes.Lines([]byte(text)) {
			if !yield(l, nil) {
				return
			}
		}
	}, replay.Options{})
	if err != nil || report.Decisions == 0 || report.Damaged > 0 {
		t.Errorf("replay: %+v, %v; want decisions", report, err)
	}
	for _, d := range report.Differences {
		t.Errorf("%s at %s: recorded %v, replayed %v", d.Incident, d.At, d.Recorded, d.Replayed)
	}
}
