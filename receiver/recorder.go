package receiver

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/receiver/incident"
	"github.com/hypervigil/hypervigil/receiver/replay"
)

// The recording's segments: each begins with a checkpoint, so that the oldest can be dropped and the rest still played.
const (
	segmentSuffix = ".jsonl"
	segmentForm   = "20060102T150405.000000000Z"
	segmentParts  = 8         // a segment is at most this part of all that is kept
	segmentAge    = time.Hour // and lasts at most so long
	recordQueue   = 1024
	recordRetry   = time.Minute
)

// recorder keeps what Step saw and decided, in segment files beside the ledger. It stands outside of the driver's way: a
// step costs the driver the sending of pointers to values that nobody changes; the bytes are made and written by a
// goroutine of its own, in order. It decides nothing and holds up nobody: where it cannot follow, or the disk fails, steps
// are left out, and the next segment begins with a checkpoint. It does not sync: a machine that crashes loses the end of the
// recording, not of the ledger, and a line that is torn is known for it. A nil *recorder records nothing.
type recorder struct {
	dir    string
	limits atomic.Pointer[config.Ledger]
	logger log.Logger
	steps  chan recorded
	gap    bool // the driver's: a step was left out
	done   chan struct{}
	// leftOut counts the steps that were left out, by why.
	leftOut func(why string)
}

// Why a step is left out.
const (
	leftBehind = "behind"
	leftFailed = "failed"
)

// recorded is one step on its way to the disk.
type recorded struct {
	before, after *incident.State
	event         incident.Event
	effects       []incident.Effect
	fresh         bool // steps before it were left out
}

func newRecorder(l config.Ledger, logger log.Logger, leftOut func(why string)) *recorder {
	r := &recorder{dir: l.Path + ".replay", logger: logger, steps: make(chan recorded, recordQueue), done: make(chan struct{}), leftOut: leftOut}
	r.configure(l)
	go r.run()
	return r
}

// configure sets other limits.
func (r *recorder) configure(l config.Ledger) { r.limits.Store(&l) }

// record hands a step over. It is called by one goroutine, which it never makes wait.
func (r *recorder) record(before *incident.State, e incident.Event, after *incident.State, effects []incident.Effect) {
	if r == nil || r.limits.Load().ReplayBytes == 0 {
		return
	}
	select {
	case r.steps <- recorded{before, after, e, effects, r.gap}:
		r.gap = false
	default:
		r.gap = true
		r.leftOut(leftBehind)
	}
}

// close writes what was handed over and ends. Nothing may be recorded after it.
func (r *recorder) close() {
	close(r.steps)
	<-r.done
}

// segment is the file that is written.
type segment struct {
	file  *os.File
	out   *bufio.Writer
	size  int64
	began time.Time
}

func (r *recorder) run() {
	defer close(r.done)
	var s *segment
	var failed time.Time
	for step := range r.steps {
		now := incident.Moment(step.event)
		if !failed.IsZero() && now.Sub(failed) < recordRetry && !now.Before(failed) {
			r.leftOut(leftFailed)
			continue
		}
		var err error
		if s, err = r.write(s, step, now); err == nil && len(r.steps) == 0 {
			err = s.out.Flush()
		}
		failed = time.Time{}
		if err != nil {
			// What is written next begins with a checkpoint again.
			level.Warn(r.logger).Log("msg", "step not recorded for a replay; the decision itself is in the ledger", "err", err)
			failed = now
			r.leftOut(leftFailed)
			s = s.end()
		}
	}
	s.end()
}

// end closes the segment; there is none afterwards.
func (s *segment) end() *segment {
	if s != nil {
		_ = s.out.Flush() // a torn line is known for it
		_ = s.file.Close()
	}
	return nil
}

// write writes a step, at the beginning of a new segment where that is due.
func (r *recorder) write(s *segment, step recorded, now time.Time) (*segment, error) {
	limits := r.limits.Load()
	if s == nil || step.fresh || s.size >= limits.ReplayBytes/segmentParts || now.Sub(s.began) >= segmentAge || now.Before(s.began) {
		s.end()
		if err := r.prune(limits, now); err != nil {
			return nil, err
		}
		next, err := r.begin(now)
		if err != nil {
			return nil, err
		}
		s = next
		b, err := replay.Checkpoint(*step.before, now)
		if err == nil {
			err = s.line(b)
		}
		if err != nil {
			return s, err
		}
	}
	b, err := replay.Step(*step.before, step.event, *step.after, step.effects)
	if err != nil {
		return s, err
	}
	return s, s.line(b)
}

func (s *segment) line(b []byte) error {
	s.size += int64(len(b)) + 1
	_, err := s.out.Write(append(b, '\n'))
	return err
}

// begin makes a segment whose name says when it began.
func (r *recorder) begin(now time.Time) (*segment, error) {
	if err := os.MkdirAll(r.dir, 0o700); err != nil {
		return nil, err
	}
	name := now.UTC().Format(segmentForm)
	f, err := os.OpenFile(filepath.Join(r.dir, name+segmentSuffix), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return &segment{file: f, out: bufio.NewWriterSize(f, 64<<10), began: now}, nil
}

// segments lists the files, oldest first.
func (r *recorder) segments() ([]string, error) {
	entries, err := os.ReadDir(r.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, e := range entries {
		if _, ok := beganAt(e.Name()); ok {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, err
}

// beganAt is when a segment began, by its name.
func beganAt(name string) (time.Time, bool) {
	stem, ok := strings.CutSuffix(name, segmentSuffix)
	t, err := time.Parse(segmentForm, stem)
	return t, ok && err == nil
}

// prune removes the oldest segments: those that are too old as a whole, and what there is too much of, so that another one
// fits. The end of a segment is the beginning of the next, and
// of the newest when it would have ended.
func (r *recorder) prune(limits *config.Ledger, now time.Time) error {
	names, err := r.segments()
	if err != nil {
		return err
	}
	sizes, total := make([]int64, len(names)), int64(0)
	for n, name := range names {
		info, err := os.Stat(filepath.Join(r.dir, name))
		if err != nil {
			return err
		}
		sizes[n] = info.Size()
		total += sizes[n]
	}
	room := limits.ReplayBytes - limits.ReplayBytes/segmentParts
	for n, name := range names {
		ends, _ := beganAt(name)
		ends = ends.Add(segmentAge)
		if n+1 < len(names) {
			ends, _ = beganAt(names[n+1])
		}
		if total <= room && now.Sub(ends) <= limits.ReplayAge {
			break
		}
		if err := os.Remove(filepath.Join(r.dir, name)); err != nil {
			return err
		}
		total -= sizes[n]
	}
	return nil
}

// copyTo writes the recording from the segment on that holds since, or from the oldest. What is not yet on the disk is not in it, and
// neither is a line that was not written to its end.
func (r *recorder) copyTo(ctx context.Context, since time.Time, w io.Writer) error {
	names, err := r.segments()
	if err != nil {
		return err
	}
	first := 0
	for n, name := range names {
		if began, _ := beganAt(name); !began.After(since) {
			first = n
		}
	}
	for _, name := range names[first:] {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := r.copySegment(name, w); err != nil {
			return fmt.Errorf("segment %s: %w", name, err)
		}
	}
	return nil
}

func (r *recorder) copySegment(name string, w io.Writer) error {
	f, err := os.Open(filepath.Join(r.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // dropped meanwhile: the next one begins with a checkpoint
	}
	if err != nil {
		return err
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 64<<10)
	for {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := w.Write(line); err != nil {
			return err
		}
	}
}
