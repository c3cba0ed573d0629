package ledger_test

import (
	"sync"

	"github.com/hypervigil/hypervigil/receiver/ledger"
)

// ledgerPaths remembers where each store of the suite lies.
type ledgerPaths struct {
	mu sync.Mutex
	of map[ledger.Store]string
}

func (p *ledgerPaths) remember(s ledger.Store, path string) ledger.Store {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.of[s] = path
	return s
}

func (p *ledgerPaths) path(s ledger.Store) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.of[s]
}
