package wsman

import (
	"context"
	"runtime"
	"sync"
	"time"
)

// Turns bounds how many large answers are read and decoded at the same time, whichever clients share it: more at once end no
// sooner, for it is the processor that they wait for, and each is held in both of its forms. The 64 nodes of the largest
// cluster, which answer together, took half of the exporter's memory that way. It is a bound of memory and not of peers: a
// turn that takes long counts no more, so that a peer whose answer trickles costs the others nothing. A nil Turns bounds
// nothing.
type Turns struct{ free chan struct{} }

const (
	// largeAnswer is from how many bytes on an answer waits for its turn. What a decision asks for is smaller.
	largeAnswer = 64 << 10
	// longTurn is how long a turn counts. A page of half a megabyte takes ten milliseconds.
	longTurn = 100 * time.Millisecond
)

// NewTurns returns the turns of one program: twice as many as it has processors, for an answer may wait for its network.
func NewTurns() *Turns { return &Turns{make(chan struct{}, 2*runtime.GOMAXPROCS(0))} }

// take waits for a turn for an answer of so many bytes, -1 where nobody knows, and returns what ends it. The error is that of
// ctx.
func (t *Turns) take(ctx context.Context, bytes int64) (end func(), err error) {
	if t == nil || bytes >= 0 && bytes < largeAnswer {
		return func() {}, nil
	}
	select {
	case t.free <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	free := sync.OnceFunc(func() { <-t.free })
	late := time.AfterFunc(longTurn, free)
	return func() {
		late.Stop()
		free()
	}, nil
}
