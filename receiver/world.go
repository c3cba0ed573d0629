package receiver

import (
	"context"
	"sync"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/receiver/alertmanager"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/remedy"
	"github.com/hypervigil/hypervigil/receiver/site"
)

// world is the site of the present configuration. A call that is under way when the configuration changes ends with
// the site that it began with, which is closed when its last call has come back.
type world struct {
	mu      sync.Mutex
	present *generation
	retired sync.WaitGroup
}

// generation is one configuration's site and who uses it.
type generation struct {
	*site.Site
	users sync.WaitGroup
}

var _ Site = (*world)(nil)

func newWorld(s *site.Site) *world { return &world{present: &generation{Site: s}} }

// acquire returns the present site; it stays open until release is called.
func (w *world) acquire() (s *site.Site, release func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	g := w.present
	g.users.Add(1)
	return g.Site, g.users.Done
}

// staleNames counts the names of the present configuration that are answered from memory.
func (w *world) staleNames() float64 {
	s, release := w.acquire()
	defer release()
	return float64(len(s.StaleNames()))
}

// swap puts another site in place.
func (w *world) swap(s *site.Site) {
	w.mu.Lock()
	defer w.mu.Unlock()
	old := w.present
	w.present = &generation{Site: s}
	w.retired.Go(func() {
		old.users.Wait()
		_ = old.Close() // idle connections; nothing that could be told is lost
	})
}

// close closes the present site and waits for those that were swapped out.
func (w *world) close() error {
	w.mu.Lock()
	g := w.present
	w.mu.Unlock()
	g.users.Wait()
	err := g.Close()
	w.retired.Wait()
	return err
}

// Read implements Site.
func (w *world) Read(ctx context.Context, a evidence.Ask) evidence.Round {
	s, release := w.acquire()
	defer release()
	return s.Read(ctx, a)
}

// Sample implements Site.
func (w *world) Sample(ctx context.Context, name string) map[string]evidence.Reading[cluster.View] {
	s, release := w.acquire()
	defer release()
	return s.Sample(ctx, name)
}

// Prove implements Site.
func (w *world) Prove(ctx context.Context, vm evidence.VM) evidence.Proof {
	s, release := w.acquire()
	defer release()
	return s.Prove(ctx, vm)
}

// Sense implements Site.
func (w *world) Sense(ctx context.Context, a evidence.Ask) evidence.Vitals {
	s, release := w.acquire()
	defer release()
	return s.Sense(ctx, a)
}

// Keep implements Site.
func (w *world) Keep(ctx context.Context, a evidence.Ask) evidence.Bundle {
	s, release := w.acquire()
	defer release()
	return s.Keep(ctx, a)
}

// Do implements Site.
func (w *world) Do(ctx context.Context, c remedy.Command, notAfter time.Time) remedy.Result {
	s, release := w.acquire()
	defer release()
	return s.Do(ctx, c, notAfter)
}

// IsLab implements Site.
func (w *world) IsLab(ctx context.Context, name string) (bool, error) {
	s, release := w.acquire()
	defer release()
	return s.IsLab(ctx, name)
}

// alerts lists the alerts that ask to be acted on.
func (w *world) alerts(ctx context.Context) ([]alertmanager.Alert, error) {
	s, release := w.acquire()
	defer release()
	return s.Alerts(ctx)
}
