package sqlhealth

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hypervigil/hypervigil/internal/dial"
)

// Stream is sp_server_diagnostics running on a connection of its own, as the failover cluster of SQL Server itself runs
// it: one for an instance, whoever asks. It is opened by the first Health, lives from one to the next, is opened again by
// the next one after it broke, and closed where five of them are missed. The last set stands for as long as the health
// check's time-out allows.
//
// A Stream is safe for concurrent use. It runs one goroutine while it is open; Close ends it and waits.
type Stream struct {
	prober  *Prober
	timeout time.Duration
	every   time.Duration
	least   time.Duration // that a gap counts for

	running sync.WaitGroup

	mu     sync.Mutex
	closed bool
	run    *run // the present attempt, or the last one; nil while the stream is closed
	last   Set
	by     *run            // which brought it
	users  int             // callers of Health that have not returned
	asked  time.Time       // when the last of them came or went
	gaps   []time.Duration // between the last ones
	idle   *time.Timer     // closes the stream
	// owing is since when SQL Server owes a set: when the stream was opened, or when something other than its silence
	// last explained that none came.
	owing time.Time
	// accepting is the first of an unbroken row of checks, while a set is overdue, in which the port answered.
	accepting time.Time
}

// The least that HealthCheckTimeout and sp_server_diagnostics allow.
const (
	minHealthCheckTimeout = 15 * time.Second
	minRepeat             = 5 * time.Second
)

// missed is how many calls of Health may be missed before the stream is closed. firstGap stands for the time between
// them until it is known; no gap counts for less than minGap or more than maxGap.
const (
	missed   = 5
	firstGap = time.Minute
	minGap   = time.Second
	maxGap   = 5 * time.Minute
)

// connectTime is what a caller must have left for the port to be asked on its behalf: where less is left, it is the
// caller's time that ends, and a port that has not answered says nothing. A quarter of a second is many times what a
// connection takes in one data centre.
const connectTime = 250 * time.Millisecond

// NewStream returns the stream of one instance, which is not open yet. timeout is HealthCheckTimeout: how long SQL
// Server may say nothing; below 15 s it is taken for 15 s. A set is asked for three times in it, and every 5 s at most.
// Source: learn.microsoft.com, "Configure HealthCheckTimeout property settings".
func NewStream(p *Prober, timeout time.Duration) *Stream {
	timeout = max(timeout, minHealthCheckTimeout)
	return &Stream{prober: p, timeout: timeout, least: minGap, every: RepeatInterval(timeout)}
}

// RepeatInterval is how far apart the sets of a stream with this HealthCheckTimeout are.
func RepeatInterval(timeout time.Duration) time.Duration {
	return max(minRepeat, (max(timeout, minHealthCheckTimeout) / 3).Truncate(time.Second))
}

// run is one attempt: a login and what comes after it.
type run struct {
	attempt *attempt
	cancel  context.CancelCauseFunc
	first   chan struct{} // closed by the first set, or the end
	once    sync.Once
	// ended and err are guarded by the stream's mutex; err is set where ended is.
	ended bool
	err   *Error
}

func (r *run) signal() { r.once.Do(func() { close(r.first) }) }

// watched is a context that ended by its deadline where its cause says so: the watchdog's deadline moves.
type watched struct{ context.Context }

// Err implements context.Context.
func (w watched) Err() error {
	err := w.Context.Err()
	if err != nil && errors.Is(context.Cause(w.Context), context.DeadlineExceeded) {
		return context.DeadlineExceeded
	}
	return err
}

// Health is how an instance does, as far as is known.
type Health struct {
	// Set is the last one received. It counts only where Fresh is: received within the health check's time-out.
	Set   Set
	Fresh bool
	// Current says that the set came on the connection that stands now. A SQL Server that was started anew, or a connection
	// that broke, leaves one behind that may be fresh and of another process.
	Current bool
	// Level is the lowest violated level of the FailureConditionLevel ladder, 0 where none is. Known is false where it
	// could not be determined: a network that does not answer, a login of ours that is refused, and an instance that
	// says itself that it is starting, paused or being stopped, are no level.
	Level int
	Known bool
	// Err is why the stream does not run; nil where it runs and has a set.
	Err *Error
}

// Health opens the stream where it is not open, and says what is known. It waits for what is under way until half the
// time that ctx leaves is over, and for the port to answer where a level depends on that until ctx ends. A caller with
// little time, below half a second, may get no level where another gets one, and takes nothing from the other.
func (s *Stream) Health(ctx context.Context) Health {
	r := s.use()
	if r == nil {
		return Health{Err: &Error{Target: s.prober.address, Reason: dial.Other, text: errClosed.Error()}}
	}
	defer s.release()
	var patience <-chan time.Time
	if deadline, ok := ctx.Deadline(); ok {
		timer := time.NewTimer(time.Until(deadline) / 2)
		defer timer.Stop()
		patience = timer.C
	}
	select {
	case <-r.first:
	case <-patience:
	case <-ctx.Done():
	}
	return s.judge(ctx, r)
}

// use notes that somebody asks, and opens the stream where that is needed; nil where it is closed for good.
func (s *Stream) use() *run {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	now := time.Now()
	if !s.asked.IsZero() && s.users == 0 {
		s.gaps = append(s.gaps, min(max(now.Sub(s.asked), s.least), maxGap))
		if len(s.gaps) > missed {
			s.gaps = s.gaps[1:]
		}
	}
	s.asked = now
	s.users++
	switch {
	case s.run == nil:
		s.owing, s.accepting = now, time.Time{}
	case !s.run.ended:
		return s.run
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	r := &run{attempt: newAttempt(s.prober), cancel: cancel, first: make(chan struct{})}
	s.run = r
	s.running.Go(func() { s.serve(ctx, r) })
	return r
}

// release notes that a caller is served. From now on somebody may be missed.
func (s *Stream) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users--
	s.asked = time.Now()
	switch {
	case s.closed:
	case s.idle == nil:
		s.idle = time.AfterFunc(s.patience(), s.abandon)
	default:
		s.idle.Reset(s.patience())
	}
}

// patience is how long nobody may ask. Of several who ask in turn the largest gap counts, so that two scrapes that
// happen to follow each other closely do not close it. The caller holds the lock.
func (s *Stream) patience() time.Duration {
	largest := firstGap
	if len(s.gaps) > 0 {
		largest = s.least
	}
	for _, g := range s.gaps {
		largest = max(largest, g)
	}
	return missed * largest
}

// abandon closes the stream because nobody asks any more. The next Health opens it.
func (s *Stream) abandon() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.run == nil || s.users > 0 || time.Since(s.asked) < s.patience() { // somebody came in between
		return
	}
	s.run.cancel(nil)
	s.run, s.gaps, s.asked = nil, nil, time.Time{}
}

// Close ends the stream for good and waits for its goroutine.
func (s *Stream) Close() error {
	s.mu.Lock()
	s.closed = true
	if s.idle != nil {
		s.idle.Stop()
	}
	if s.run != nil {
		s.run.cancel(nil)
	}
	s.mu.Unlock()
	s.running.Wait()
	return nil
}

// serve is the life of a run. A stream that says nothing for the health check's time-out is ended: what comes after
// that is another attempt.
func (s *Stream) serve(ctx context.Context, r *run) {
	defer r.cancel(nil)
	watchdog := time.AfterFunc(s.timeout, func() { r.cancel(context.DeadlineExceeded) })
	defer watchdog.Stop()
	life := watched{ctx}
	_, err := perform(life, r.attempt, func(session *session) (struct{}, error) {
		return struct{}{}, session.diagnose(s.every, r.attempt.tracker.CloseAll, func(set []Component) {
			watchdog.Reset(s.timeout)
			r.attempt.progress.answered()
			s.receive(r, set)
		})
	})
	failure := r.attempt.judge(life, err)
	s.mu.Lock()
	r.ended, r.err = true, failure
	s.mu.Unlock()
	r.signal()
}

// receive keeps a set. One that a run gave up for dead gives late is kept too: it is what SQL Server says.
func (s *Stream) receive(r *run, set []Component) {
	s.mu.Lock()
	next := Set{Received: time.Now(), Components: set}
	next.countErrors(s.last, s.timeout)
	s.last, s.by, s.accepting = next, r, time.Time{}
	s.mu.Unlock()
	r.signal()
}

// judge makes of what there is a verdict.
func (s *Stream) judge(ctx context.Context, r *run) Health {
	s.mu.Lock()
	h := Health{Set: s.last}
	h.Current = s.by == r && !r.ended
	failure, owing := r.err, s.owing
	s.mu.Unlock()
	now := time.Now()
	if h.Set.Received.After(owing) {
		owing = h.Set.Received
	}
	h.Fresh = !h.Set.Received.IsZero() && now.Sub(h.Set.Received) <= s.timeout
	h.Err = failure
	if failure == nil && !h.Fresh {
		h.Err = s.silence(r)
	}
	port, silent := dial.Answered, false
	switch {
	case failure != nil && !isSilence(failure):
		s.explain(now)
	case !timeLeft(ctx, connectTime): // how far the attempt is tells no more than the port would
	case h.Err != nil && !isSilence(h.Err):
		s.explain(now)
	case now.Sub(owing) >= s.every*3/2:
		// It took the connection once. That it does so now tells an instance that hangs from a network that is gone.
		port = s.prober.Connect(ctx)
		silent = s.observe(port, now, owing)
	}
	switch {
	case failure != nil && failure.Reason == dial.Refused, !h.Fresh && port == dial.Refused:
		h.Level, h.Known = levelDown, true
	case h.Fresh:
		h.Level, h.Known = h.Set.Level()
	case silent:
		h.Level, h.Known = levelSilent, true
	}
	return h
}

// timeLeft reports whether a context has this much time left.
func timeLeft(ctx context.Context, least time.Duration) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() == nil && (!ok || time.Until(deadline) >= least)
}

// explain notes that something else than silence is why no set comes.
func (s *Stream) explain(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.owing, s.accepting = now, time.Time{}
}

// observe keeps what the port said while a set was overdue, and reports whether SQL Server has been silent for the
// health check's time-out although its port answers. One answer is not enough: the network may have come back just now.
func (s *Stream) observe(port dial.Reason, now, owing time.Time) bool {
	if port != dial.Answered {
		s.explain(time.Now()) // until now
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.accepting.IsZero() {
		s.accepting = now
	}
	return now.Sub(owing) >= s.timeout && now.Sub(s.accepting) >= s.every
}

// silence is the error of a run that goes on and has given nothing.
func (s *Stream) silence(r *run) *Error {
	phase := r.attempt.progress.at()
	if phase == dial.PhaseQuery && time.Since(r.attempt.began) < s.timeout {
		return &Error{Target: s.prober.address, Phase: phase, Reason: dial.Other, State: StateRunning, waiting: true, text: errWaiting.Error()}
	}
	// As if its deadline had come. Not by judge: that looks at what the run's own goroutine still writes.
	over, cancel := context.WithDeadline(context.Background(), time.Unix(0, 0))
	defer cancel()
	return &Error{
		Target: s.prober.address, Phase: phase, Reason: r.attempt.progress.refine(dial.Classify(over, r.attempt.tracker, over.Err())),
		text: "no answer until now", ended: over.Err(),
	}
}

// isSilence reports whether a failure is one of an instance that took the connection and does not answer on it, or has
// no thread or memory left to. A refusal in its own words otherwise is an answer, and so is what we do not understand;
// a connection that it took and closed again is none.
func isSilence(e *Error) bool {
	if e.spoke {
		return false
	}
	switch e.Reason {
	case dial.TLSTimeout, dial.LoginTimeout, dial.QueryTimeout, dial.Protocol:
		return true
	case dial.Other:
		return e.waiting || e.State == StateExhausted
	case dial.Answered, dial.DNS, dial.Refused, dial.Unreachable, dial.TCPTimeout, dial.TLS, dial.Auth, dial.Permission, dial.Namespace, dial.ProviderHung:
	}
	return false
}
